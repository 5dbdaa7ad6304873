"""The command line as a user meets it: his own data, bad input, clear errors, exit codes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.config import IngestConfig
from storage.lake import Lake
from tests.conftest import ROOT, Cli
from tests.lakes import captioned_lake, commit

MEGABYTE = 1_000_000


def write_photo(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=95)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source with every kind of bad row between good ones."""
    images = tmp_path / "images"
    images.mkdir()
    for number in range(4):
        write_photo(images / f"{number}.jpg", number)
    (images / "same.jpg").write_bytes((images / "0.jpg").read_bytes())
    (images / "cut.jpg").write_bytes((images / "1.jpg").read_bytes()[:-200])
    (images / "text.jpg").write_text("not a picture")
    rows = [
        ("0.jpg", "a dog runs on the beach"),
        ("0.jpg", "a brown dog"),
        ("1.jpg", "\U0001f600\U0001f680\U0001f600"),
        ("2.jpg", "a cat " + "and a cat " * (MEGABYTE // 10)),
        ("3.jpg", "a red car parked on the street"),
        ("same.jpg", "the same dog again"),
        ("cut.jpg", "a truncated picture"),
        ("text.jpg", "no picture"),
        ("gone.jpg", "a missing picture"),
    ]
    path = tmp_path / "captions.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "caption"), *rows])
    with path.open("ab") as file:
        file.write(b"3.jpg,caf\xe9 on the street\n")
    return path


@pytest.mark.slow
def test_bad_rows_are_rejected_with_a_reason_and_lose_nothing_else(
    source: Path, tmp_path: Path, cli: Cli
) -> None:
    lake = tmp_path / "lake"
    assert cli("init", "--lake", lake).returncode == 0
    done = cli("ingest", source, "--images", tmp_path / "images", "--lake", lake, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["new_images"], summary["new_captions"]) == (4, 6)
    rejects = cli(
        "sql", "SELECT item, reason FROM rejects ORDER BY item", "--lake", lake, "--format", "json"
    )
    assert {(row["item"], row["reason"]) for row in json.loads(rejects.stdout)} == {
        ("captions.csv:11", "not-utf-8"),
        ("cut.jpg", "unreadable-image"),
        ("gone.jpg", "missing-image"),
        ("text.jpg", "unreadable-image"),
    }
    ran = cli("run", "--until", "parse", "--lake", lake)
    assert ran.returncode == 0, ran.stderr
    graphs = cli(
        "sql",
        "SELECT count(*) AS n, count(note) AS notes FROM scene_graphs",
        "--lake", lake, "--format", "json",
    )  # fmt: skip
    assert json.loads(graphs.stdout) == [{"n": 6, "notes": 1}]
    again = cli("ingest", source, "--images", tmp_path / "images", "--lake", lake, "--json")
    assert json.loads(again.stdout)["new_images"] == json.loads(again.stdout)["shards"] == 0
    balance = cli("sql", "FROM shard_balance", "--lake", lake, "--format", "json")
    assert all(row["balance"] == 0 for row in json.loads(balance.stdout))


BAD = [
    (["ingest", "{tmp}/nothing.csv"], "nothing.csv"),
    (["ingest", "{tmp}/empty.csv"], "empty"),
    (["ingest", "{tmp}/columns.csv"], "picture, words"),
    (["ingest", "{tmp}/utf16.csv"], "utf16.csv"),
    (["ingest", "{tmp}/good.csv", "--format", "cvs"], "csv"),
    (["ingest", "{tmp}/good.csv", "--split", "test"], "eval, train"),
    (["run", "--until", "grond"], "ground"),
    (["run", "--set", "clean.min_region=3"], "min_regions"),
    (["run", "--set", "clean.cut=some"], "clean.cut"),
    (["run", "--set", "nonsense"], "stage.key=value"),
    (["run", "--config", "{tmp}/gone.toml"], "gone.toml"),
    (["sql", "DROP TABLE tags"], "refused"),
    (["sql", "SELECT nope FROM tags"], "nope"),
    (["why", "nobody.jpg", "dog"], "nobody.jpg"),
    (["export", "{tmp}/out", "--format", "rma-json"], "ram-json"),
    (["bench", "nothing"], "planted"),
    (["status", "--lake", "{tmp}/nowhere"], "tagwright init"),
    (["init"], "already"),
    (["plan", "--set", "clean.rules=[nope]"], "agreement"),
    (["plan", "--set", "ground.detector=nope"], "attention"),
    (["plan", "--set", "retrain.clean_subset=nonsense"], "nonsense"),
    (["plan", "--set", "gate.min_gain=.nan"], "gate.min_gain"),
    (["plan", "--set", "clean.cut=["], "clean.cut=["),
    (["report", "--out", "{tmp}"], "is a folder"),
    (["tag", "--tags", " , ", "{tmp}/a.jpg"], "names no tag"),
    (["labels", "review", "{tmp}/good.csv"], "exists already"),
    (["certify", "sample", "--out", "{tmp}/good.csv"], "exists already"),
    (["certify", "--lake", "x", "answers", "{tmp}/good.csv"], "--lake: is not passed on"),
    (["certify", "--json", "sample"], "after `certify sample`"),
]


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty.csv").write_text("")
    (folder / "columns.csv").write_text("picture,words\na.jpg,a dog\n")
    (folder / "utf16.csv").write_bytes("image,caption\na.jpg,a dog\n".encode("utf-16"))
    (folder / "good.csv").write_text("image,caption\na.jpg,a dog\n")
    assert cli("init", "--lake", folder / "lake").returncode == 0
    return folder


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(a)[:40] for a, _ in BAD])
def test_every_mistake_is_one_clear_line(
    arguments: list[str], says: str, bad: Path, cli: Cli
) -> None:
    done = cli(*(a.format(tmp=bad) for a in arguments), TAGWRIGHT_LAKE=str(bad / "lake"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert says in done.stderr


def test_a_run_without_images_says_what_to_do(bad: Path, cli: Cli) -> None:
    done = cli("run", "--lake", bad / "lake")
    assert done.returncode == 1
    assert "ingest" in done.stderr and done.stderr.count("\n") == 1


def test_retraining_before_the_first_run_says_what_to_do(tmp_path: Path, cli: Cli) -> None:
    lake = captioned_lake(tmp_path, IngestConfig(), 3)
    done = cli("retrain", "--lake", lake)
    assert done.returncode == 1
    assert done.stderr == f"error: {lake}: nothing to retrain on yet; run `tagwright run` first\n"
    with Lake.open(lake, read_only=True) as opened:
        assert not opened.scalar("SELECT count(*) FROM publications")
        assert not opened.scalar("SELECT count(*) FROM runs")


@pytest.mark.slow
def test_a_next_cycle_that_was_stopped_is_gone_on_with(tmp_path: Path, cli: Cli) -> None:
    path = captioned_lake(tmp_path, IngestConfig(), 3)
    again = ("run", "--next-cycle", "--until", "parse", "--lake", path)
    goes_on = "cycle {} has not published yet: going on with it\n"
    assert cli(*again).stderr == goes_on.format(1)
    with Lake.open(path) as lake:
        commit(lake, {"publications": [{"publication_id": "p", "cycle": 1}]}, "publish")
    assert [cli(*again).stderr for _ in range(2)] == ["", goes_on.format(2)]
    with Lake.open(path, read_only=True) as lake:
        runs = lake.query("SELECT cycle FROM runs WHERE state = 'finished' ORDER BY recorded_at")
    assert runs.column(0).to_pylist() == [1, 2, 2]


@pytest.mark.slow
def test_a_full_disk_is_one_clear_line_and_the_next_run_goes_on(
    source: Path, tmp_path: Path, cli: Cli
) -> None:
    """A file size limit stands in for a full disk: both fail the write of the features."""
    lake = tmp_path / "lake"
    with source.open("a", newline="", encoding="utf-8") as file:
        for number in range(4, 16):  # their features are larger than the catalog and the room
            write_photo(tmp_path / "images" / f"{number}.jpg", number)
            csv.writer(file).writerow((f"{number}.jpg", "a dog"))
    cli("init", "--lake", lake)
    cli("ingest", source, "--images", tmp_path / "images", "--lake", lake)
    room = (lake / "catalog.sqlite").stat().st_size + 100_000
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room})); "
        "from flows.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "run", "--until", "encode", "--lake", str(lake)],
        capture_output=True, text=True, cwd=ROOT, env=os.environ, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no disk space left" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    again = cli("run", "--until", "encode", "--lake", lake, "--json")
    assert [row["ran"] for row in json.loads(again.stdout)] == [0, 0, 1]


def test_a_lake_of_a_newer_version_is_refused(tmp_path: Path, cli: Cli) -> None:
    cli("init", "--lake", tmp_path / "lake")
    (tmp_path / "lake" / "lake.toml").write_text("catalog_version = 99\n")
    done = cli("status", "--lake", tmp_path / "lake")
    assert done.returncode == 1 and "newer Tagwright" in done.stderr


def test_parse_gives_exactly_one_json_line_per_line(tmp_path: Path, cli: Cli) -> None:
    lines = ["a dog runs", "", "\U0001f600", "two men\x85ride horses\u2028fast", "caf\u00e9"]
    (tmp_path / "lines.txt").write_bytes("\n".join(lines).encode() + b"\nbad \xff byte\n")
    done = cli("parse", tmp_path / "lines.txt")
    assert done.returncode == 0, done.stderr
    graphs = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert [g["caption"] for g in graphs[:5]] == lines
    assert len(graphs) == 6
    assert {"objects", "attributes", "actions", "relations"} <= graphs[0].keys()
    assert graphs[0]["objects"][0]["name"] == "dog" and graphs[0]["actions"][0]["name"] == "run"


def test_parse_writes_utf8_whatever_the_locale_and_needs_an_input() -> None:
    command = [sys.executable, "-m", "flows", "parse"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        command, input="a caf\u00e9 dog\n".encode("utf-8-sig"), capture_output=True, cwd=ROOT,
        env=environment, timeout=120, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout.decode())["caption"] == "a caf\u00e9 dog"
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command],
        capture_output=True, text=True, cwd=ROOT, timeout=120,
    )  # fmt: skip
    assert (closed.returncode, closed.stdout) == (1, "")
    assert closed.stderr.startswith("error: standard input is closed"), closed.stderr


def test_the_demo_lake_answers_people(demo: Path, tmp_path: Path, cli: Cli) -> None:
    lake = ["--lake", demo / "lake"]
    status = json.loads(cli("status", *lake, "--json").stdout)
    assert status["unbalanced"] == 0 and status["in_service"]
    stats = json.loads(cli("stats", *lake, "--json", "--limit", "5").stdout)
    assert len(stats) == 5 and stats[0]["images"] >= stats[4]["images"] > 0
    table = cli("sql", "SELECT name, images FROM tag_stats LIMIT 3", *lake)
    assert stats[0]["name"] in table.stdout
    done = cli("export", tmp_path / "ram", "--format", "ram-json", *lake)
    assert done.returncode == 0, done.stderr
    items = json.loads((tmp_path / "ram" / "annotations.json").read_text())
    assert len(items) == 24
    assert all(len(item["caption"]) == len(item["parse_label_id"]) for item in items)
    plan = json.loads(cli("plan", *lake, "--json").stdout)
    assert plan[0]["stage"] == "parse"


def test_plain_output_has_no_bars(demo: Path, cli: Cli) -> None:
    done = cli("status", "--lake", demo / "lake")
    assert "\x1b" not in done.stdout + done.stderr and done.stderr == ""
