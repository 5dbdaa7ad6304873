"""`tagwright labels` as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from storage.lake import Lake
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
    again = cli("labels", "review", review, *lake)  # would overwrite answers
    assert again.returncode == 1 and "--apply" in again.stderr
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
        (["show", "²", "--system", "starter"], "'²'"),
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


def test_a_build_with_seeds_and_translations(demo_copy: Path, tmp_path: Path, cli: Cli) -> None:
    lake = ["--lake", demo_copy / "lake", "--set", "label.min_mentions=2"]
    (tmp_path / "mine.txt").write_text("unicorn\nwagon train\n")
    (tmp_path / "words.tsv").write_text("unicorn\t独角兽\ngriffin\t狮鹫\nmonoceros\t独角兽\n")
    (tmp_path / "more.txt").write_text("monoceros\n")
    seeds = ["--seed", "coco", "--seed", tmp_path / "mine.txt", "--seed", tmp_path / "more.txt"]
    done = cli("labels", "build", *seeds, "--translations", tmp_path / "words.tsv", *lake)
    assert done.returncode == 0, done.stderr
    shown = json.loads(cli("labels", "show", "unicorn", *lake[:2], "--json").stdout)
    assert shown["mentions"] == 0 and shown["forms"][0]["why"] == "seed: mine.txt"
    (merge,) = shown["merges"]
    assert merge["state"] == "needs-review" and "shared translation 独角兽" in merge["evidence"]
    version = json.loads(cli("labels", "versions", *lake[:2], "--json").stdout)[0]["version"]
    assert version in cli("labels", "build", *lake).stdout  # without them, nothing is lost
    assert cli("run", "--until", "label", *lake).returncode == 0
    newest = json.loads(cli("labels", "versions", *lake[:2], "--json").stdout)[0]
    assert newest["version"] == version and newest["in_use"]


def test_a_build_from_a_file_of_captions(tmp_path: Path, cli: Cli) -> None:
    said, out = tmp_path / "captions.txt", tmp_path / "system.csv"
    said.write_text("a dog and a red car\nthe dog runs\na dog on a couch\n")
    at_least = ["--set", "label.min_mentions=1"]
    done = cli("labels", "build", "--captions", said, "--out", out, *at_least)
    assert done.returncode == 0, done.stderr
    names = json.loads(cli("labels", "show", "dog", "--system", out, "--json").stdout)
    assert names["tag_id"] == 0 and names["forms"][0]["surface"] == "dog"
    for wrong in (["--captions", said], ["--out", out], ["--captions", said, "--out", tmp_path]):
        assert "go together" in cli("labels", "build", *wrong).stderr
    assert "gone.txt" in cli("labels", "build", "--captions", "gone.txt", "--out", out).stderr


def test_a_build_keeps_what_was_edited(demo_copy: Path, cli: Cli) -> None:
    lake = ["--lake", demo_copy / "lake"]
    assert cli("labels", "add", "axolotl", "--kind", "object", *lake).returncode == 0
    assert cli("labels", "build", *lake, "--set", "label.min_mentions=2").returncode == 0
    assert cli("labels", "show", "axolotl", *lake).returncode == 0


def test_thresholds_go_in_and_out(demo_copy: Path, tmp_path: Path, cli: Cli) -> None:
    lake = ["--lake", demo_copy / "lake"]
    (tmp_path / "list.txt").write_text("dog \nsofa\n")
    (tmp_path / "cuts.txt").write_text("0.65\n0.8\n")
    files = [tmp_path / "list.txt", "--thresholds", tmp_path / "cuts.txt"]
    done = cli("labels", "import", *files, *lake)
    assert done.returncode == 0, done.stderr
    assert "published threshold: 0.65" in cli("labels", "show", "dog", *lake).stdout
    out = [tmp_path / "out.txt", "--thresholds", tmp_path / "out-cuts.txt"]
    assert cli("labels", "export", *out, *lake).returncode == 0
    assert (tmp_path / "out.txt").read_text() == "dog\nsofa\n"
    assert (tmp_path / "out-cuts.txt").read_text() == "0.65\n0.8\n"


def test_wrong_input_of_a_build_changes_nothing(demo_copy: Path, tmp_path: Path, cli: Cli) -> None:
    lake = demo_copy / "lake"
    (tmp_path / "words.tsv").write_text("dog\t狗\ncat 猫\n")
    (tmp_path / "latin.tsv").write_bytes(b"dog\tM\xf6ps\n")
    (tmp_path / "list.txt").write_text("dog\n")
    (tmp_path / "cuts.txt").write_text("high\n")
    with Lake.open(lake, read_only=True) as opened:
        before = opened.snapshot_id
    for arguments, says in [
        (["build", "--seed", "cocoa"], "objects365"),
        (["build", "--translations", tmp_path / "words.tsv"], "line 2"),
        (["build", "--translations", tmp_path / "latin.tsv"], "UTF-8"),
        (["build", "--translations", tmp_path / "gone.tsv"], "gone.tsv"),
        (["build", "--translations-of", tmp_path / "list.txt"], "label.translations"),
        (["import", tmp_path / "list.txt", "--thresholds", tmp_path / "cuts.txt"], "'high'"),
        (["import", "starter", "--thresholds", tmp_path / "cuts.txt"], "published"),
        (["export", tmp_path / "x.txt", "--thresholds", tmp_path / "y.txt"], "threshold"),
    ]:
        done = cli("labels", *arguments, "--lake", lake)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
        assert says in done.stderr
    assert not (tmp_path / "x.txt").exists() and not (tmp_path / "y.txt").exists()
    with Lake.open(lake, read_only=True) as opened:
        assert opened.snapshot_id == before
