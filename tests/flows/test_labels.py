"""`tagwright labels` as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import Cli


def test_show_edit_diff_export(demo_copy: Path, tmp_path: Path, cli: Cli) -> None:
    lake = ["--lake", demo_copy / "lake"]
    first = json.loads(cli("labels", "versions", *lake, "--json").stdout)[0]["version"]
    added = cli("labels", "add", "axolotl", "walking fish", "--kind", "object", *lake)
    assert added.returncode == 0, added.stderr
    shown = json.loads(cli("labels", "show", "walking fish", *lake, "--json").stdout)
    assert shown["name"] == "axolotl" and shown["merges"][0]["state"] == "confirmed"
    changes = json.loads(cli("labels", "diff", first, *lake, "--json").stdout)
    assert {(c["what"], c["surface"]) for c in changes} == {
        ("added", "axolotl"), ("added", "walking fish"),
    }  # fmt: skip
    review = tmp_path / "review.csv"
    assert cli("labels", "review", review, "--all", *lake).returncode == 0
    rows = list(csv.DictReader(review.read_text().splitlines()))
    for row in rows:
        row["state"] = "rejected" if row["surface"] == "walking fish" else row["state"]
    with review.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert cli("labels", "review", review, "--apply", *lake).returncode == 0
    assert json.loads(cli("labels", "show", "walking fish", *lake, "--json").stdout)["name"] == (
        "walking fish"
    )
    assert cli("labels", "export", tmp_path / "s.csv", "--system", "starter").returncode == 0
    with (tmp_path / "s.csv").open() as file:
        assert len({row["tag_id"] for row in csv.DictReader(file)}) == 4585
    imported = cli("labels", "import", tmp_path / "s.csv", *lake)
    assert imported.returncode == 0, imported.stderr
    assert cli("labels", "import", "starter", *lake).stdout.startswith(("nothing", "label system"))


def test_a_published_list_is_mapped(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "list.txt").write_text("dog \nsofa\nxyzzy\n")
    (tmp_path / "cuts.txt").write_text("0.5\n0.6\n0.7\n")
    out = tmp_path / "map.csv"
    done = cli(
        "labels", "map", tmp_path / "list.txt", out, "--thresholds", tmp_path / "cuts.txt",
        "--system", "starter",
    )  # fmt: skip
    assert done.returncode == 0 and "2 of 3" in done.stdout, done.stderr
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["our_tag"], r["threshold"]) for r in rows] == [
        ("dog", "0.5"), ("sofa", "0.6"), ("", "0.7"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "umbrela", "--system", "starter"], "umbrella"),
        (["show", "train", "--system", "starter"], "--kind"),
        (["show", "dog", "--system", "starter", "--kind", "thing"], "attribute"),
        (["export", "{tmp}/x.json", "--system", "starter"], ".csv"),
        (["diff", "{tmp}/gone.csv", "starter"], "gone.csv"),
    ],
)
def test_mistakes_are_one_clear_line(
    arguments: list[str], says: str, tmp_path: Path, cli: Cli
) -> None:
    done = cli("labels", *(a.format(tmp=tmp_path) for a in arguments))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and says in done.stderr
