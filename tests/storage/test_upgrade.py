"""Lakes of older versions: what they lack is added when they are opened, and no row is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.crash import VARIABLE
from storage.errors import StorageError
from storage.lake import MARKER, Lake
from storage.schemas import CATALOG_VERSION, TABLES
from storage.sql import run_sql
from tests.conftest import ROOT
from tests.storage.test_lake import commit

LATER_VIEWS = ("tag_stats", "specific_tags", "akin_tags", "tag_ancestors", "tag_ids")
LATER_TABLES = ("label_parents", "label_akin", "label_thresholds", "unclear")


def make_old(path: Path) -> None:
    """Take away what version 1 did not have."""
    with Lake.open(path) as lake:
        for view in (*LATER_VIEWS, *(f"current_{name}" for name in LATER_TABLES)):
            lake.raw.execute(f"DROP VIEW {view}")
        for table in LATER_TABLES:
            lake.raw.execute(f"DROP TABLE {table}")
        lake.raw.execute("ALTER TABLE scene_graphs DROP COLUMN note")
        lake.raw.execute("CREATE OR REPLACE VIEW tag_cooccurrence AS SELECT 1 AS old")
    (path / MARKER).write_text("catalog_version = 1\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of version 1 with two mentions; tests open copies of it."""
    path = tmp_path_factory.mktemp("old") / "lake"
    with Lake.create(path) as lake:
        commit(lake, "w1", "u", "dog")
        commit(lake, "w2", "u", "cat")
    make_old(path)
    return path


@pytest.fixture
def old(made: Path, tmp_path: Path) -> Path:
    """A copy of that lake, to open and to change."""
    return Path(shutil.copytree(made, tmp_path / "lake"))


def _whole(path: Path) -> bool:
    """Whether today's tables and views are there and the rows of before still are."""
    assert (path / MARKER).read_text() == f"catalog_version = {CATALOG_VERSION}\n"
    with Lake.open(path, read_only=True) as lake:
        for name, table in TABLES.items():
            assert set(lake.query(f"SELECT * FROM {name}").schema.names) == set(table.schema.names)
        for view in (*LATER_VIEWS, *(f"current_{name}" for name in LATER_TABLES)):
            lake.query(f"SELECT * FROM {view}")
        assert "other" in lake.query("SELECT * FROM tag_cooccurrence").schema.names
        assert lake.scalar("SELECT count(*) FROM mentions") == 2
        return bool(lake.scalar("SELECT surface FROM current_mentions") == "cat")


@pytest.mark.parametrize("read_only", [False, True])
def test_opening_brings_it_up_to_date(old: Path, read_only: bool) -> None:
    with Lake.open(old, read_only=read_only):
        pass
    assert _whole(old)
    with Lake.open(old) as lake:  # it takes rows as before
        assert commit(lake, "w3", "other", "bird")


def test_sql_reads_it_and_older_snapshots_stay(old: Path) -> None:
    assert run_sql(old, "SELECT count(*) AS n FROM tag_stats").to_pylist() == [{"n": 0}]
    with Lake.open(old, read_only=True) as lake:
        (first,) = lake.query(
            "SELECT min(snapshot_id) FROM lake.snapshots() WHERE commit_message = 'parse'"
        ).column(0)
    with Lake.open(old, read_only=True, snapshot=first.as_py()) as lake:
        assert lake.scalar("SELECT surface FROM current_mentions") == "dog"


def test_it_is_done_once(old: Path) -> None:
    with Lake.open(old) as lake:
        snapshot = lake.snapshot_id
    with Lake.open(old) as lake:
        assert lake.snapshot_id == snapshot


OPENS = "import sys; from pathlib import Path; from storage.lake import Lake; "
OPENS += "Lake.open(Path(sys.argv[1]))"


def _opening(path: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", OPENS, str(path)], cwd=ROOT, env=os.environ | environment
    )


@pytest.mark.parametrize("point", ["upgrade:committing", "upgrade:committed"])
def test_a_kill_leaves_a_lake_that_opens(old: Path, point: str) -> None:
    assert _opening(old, **{VARIABLE: point}).wait() == -signal.SIGKILL
    assert (old / MARKER).read_text() == "catalog_version = 1\n"
    assert _whole_after(old)


def _whole_after(path: Path) -> bool:
    Lake.open(path).close()
    return _whole(path)


def test_two_processes_at_once(old: Path) -> None:
    both = [_opening(old), _opening(old)]
    assert [process.wait() for process in both] == [0, 0]
    assert _whole(old)


def test_what_cannot_be_written_is_one_line(old: Path) -> None:
    (old / ".lock").unlink()
    (old / ".lock").mkdir()  # root may write read-only folders, but opens no folder as a file
    with pytest.raises(StorageError, match=r"older Tagwright .*where it can be written") as error:
        Lake.open(old, read_only=True)
    assert "\n" not in str(error.value)
    (old / ".lock").rmdir()
    assert _whole_after(old)
