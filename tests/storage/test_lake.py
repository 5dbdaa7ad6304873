"""The lake: one transaction per unit, time travel, clear errors, two processes at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from storage.errors import DiskFull, NewerLake, NotALake, StorageError
from storage.lake import MARKER, Lake
from storage.schemas import DERIVED, TABLES


def ledger_row(work: str, unit: str, stage: str = "parse") -> dict[str, object]:
    return {
        "work_id": work, "stage": stage, "unit": unit, "unit_digest": unit, "fingerprint": "f",
        "artifact": None, "n_in": 1, "n_kept": 1, "n_dropped": 0, "n_rejected": 0,
        "run_id": "r", "seconds": 0.1,
    }  # fmt: skip


def mention(work: str, surface: str) -> pa.Table:
    row = {
        "caption_id": "c", "image_id": "i", "source": "original", "surface": surface,
        "kind": "object", "start": 0, "end": 3, "shard_id": "s", "work_id": work,
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=TABLES["mentions"].schema)


def commit(lake: Lake, work: str, unit: str, surface: str) -> bool:
    path = lake.stage_file("mentions", work, mention(work, surface))
    return lake.commit({"mentions": [path]}, [ledger_row(work, unit)], "parse")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def surfaces(lake: Lake, table: str = "current_mentions") -> list[str]:
    return sorted(lake.query(f"SELECT surface FROM {table}").column(0).to_pylist())


def test_staged_rows_are_invisible_until_committed(lake: Lake) -> None:
    path = lake.stage_file("mentions", "w", mention("w", "dog"))
    assert path.exists()
    assert surfaces(lake, "mentions") == []
    assert lake.commit({"mentions": [path]}, [ledger_row("w", "u")], "parse")
    assert surfaces(lake) == ["dog"]


def test_newer_work_of_a_unit_replaces_the_older_without_deleting_it(lake: Lake) -> None:
    commit(lake, "w1", "u", "dog")
    commit(lake, "w2", "u", "cat")
    commit(lake, "w3", "other", "bird")
    assert surfaces(lake) == ["bird", "cat"]
    assert surfaces(lake, "mentions") == ["bird", "cat", "dog"]


def test_the_same_work_is_committed_once(lake: Lake) -> None:
    assert commit(lake, "w", "u", "dog")
    assert not commit(lake, "w", "u", "dog")
    assert surfaces(lake, "mentions") == ["dog"]


def files_of(lake: Lake) -> int:
    return len(list((lake.path / "data" / "main" / "mentions").iterdir()))


def test_a_registered_file_is_never_written_to(lake: Lake) -> None:
    commit(lake, "w", "u", "dog")
    path = lake.stage_file("mentions", "w", mention("w", "a word so long that the file grows"))
    assert surfaces(lake) == ["dog"]
    assert not lake.commit({"mentions": [path]}, [ledger_row("w", "u")], "parse")
    assert surfaces(lake) == ["dog"]
    assert files_of(lake) == 1


def test_a_work_that_is_done_and_not_current_is_current_again(lake: Lake) -> None:
    commit(lake, "w1", "u", "dog")
    commit(lake, "w2", "u", "cat")
    assert commit(lake, "w1", "u", "dog")
    assert surfaces(lake) == ["dog"]
    assert surfaces(lake, "mentions") == ["cat", "dog"]
    assert not commit(lake, "w1", "u", "dog")


def test_of_a_group_that_is_done_in_part_the_rest_is_committed(lake: Lake) -> None:
    commit(lake, "w1", "u1", "dog")
    both = pa.concat_tables([mention("w1", "dog"), mention("w2", "cat")])
    path = lake.stage_file("mentions", "both", both)
    assert lake.commit(
        {"mentions": [path]}, [ledger_row("w1", "u1"), ledger_row("w2", "u2")], "parse"
    )
    assert surfaces(lake) == surfaces(lake, "mentions") == ["cat", "dog"]
    units = lake.query("SELECT unit FROM ledger ORDER BY seq").column(0).to_pylist()
    assert units == ["u1", "u2"]


def test_what_a_killed_attempt_leaves_goes_with_the_commit_of_its_work(lake: Lake) -> None:
    lake.stage_file("mentions", "w", mention("w", "dog"))
    commit(lake, "w-1", "other", "cat")
    assert files_of(lake) == 2
    commit(lake, "w", "u", "dog")
    assert files_of(lake) == 2
    assert surfaces(lake) == ["cat", "dog"]


def test_a_failing_commit_leaves_nothing(lake: Lake) -> None:
    path = lake.stage_file("mentions", "w", mention("w", "dog"))
    with pytest.raises(StorageError):
        lake.commit(
            {"mentions": [path], "captions": [Path("/nowhere/x.parquet")]},
            [ledger_row("w", "u")],
            "parse",
        )
    assert surfaces(lake, "mentions") == []
    assert lake.scalar("SELECT count(*) FROM ledger") == 0
    assert commit(lake, "w", "u", "dog")


def test_an_older_snapshot_can_be_opened(lake: Lake) -> None:
    commit(lake, "w1", "u", "dog")
    snapshot = lake.snapshot_id
    commit(lake, "w2", "u", "cat")
    with Lake.open(lake.path, read_only=True, snapshot=snapshot) as older:
        assert surfaces(older) == ["dog"]
    with pytest.raises(StorageError, match="snapshot 999"):
        Lake.open(lake.path, read_only=True, snapshot=999)


def test_a_lake_can_be_moved_as_a_folder(lake: Lake, tmp_path: Path) -> None:
    commit(lake, "w", "u", "dog")
    lake.close()
    moved = lake.path.rename(tmp_path / "elsewhere")
    with Lake.open(moved, read_only=True) as reader:
        assert surfaces(reader) == ["dog"]
    with Lake.open(moved) as writer:
        commit(writer, "w2", "u2", "cat")
        assert surfaces(writer) == ["cat", "dog"]


def test_every_table_accepts_rows_of_its_schema_and_has_a_current_view(lake: Lake) -> None:
    for name, table in TABLES.items():
        empty = pa.Table.from_pylist([{"work_id": "w"}], schema=table.schema)
        lake.stage_file(name, "w", empty)
        assert lake.query(f"SELECT * FROM {name}").schema.names == table.schema.names
        assert set(table.key) <= set(table.schema.names)
        assert set(table.volatile) <= set(table.schema.names)
    for name in DERIVED:
        lake.query(f"SELECT * FROM current_{name}")


def test_missing_newer_and_damaged_lakes_are_told_apart(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(NotALake, match="tagwright init"):
        Lake.open(tmp_path / "nothing")
    with pytest.raises(StorageError, match="already"):
        Lake.create(lake.path)
    (lake.path / MARKER).write_text("catalog_version = 999\n")
    with pytest.raises(NewerLake, match="999"):
        Lake.open(lake.path)
    (lake.path / MARKER).write_text("no toml {")
    with pytest.raises(StorageError, match="damaged"):
        Lake.open(lake.path)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.storage.test_lake import commit
from storage.lake import Lake
lake = Lake.open(Path(sys.argv[1]))
for number in range(10):
    commit(lake, f"{sys.argv[2]}-{number}", f"{sys.argv[2]}-{number}", "dog")
    commit(lake, f"both-{number}", f"both-{number}", "dog")
"""


def test_two_processes_commit_without_loss_or_doubles(lake: Lake) -> None:
    root = str(Path(__file__).parents[2])
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(lake.path), name, root])
        for name in ("a", "b")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(surfaces(lake)) == 30
    assert len(surfaces(lake, "mentions")) == 30


READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77; shift; exec "$@"'
READER = """
import sys
from pathlib import Path
from storage.errors import StorageError
from storage.lake import Lake
try:
    with Lake.open(Path(sys.argv[1]), read_only=True) as lake:
        print(lake.scalar("SELECT count(*) FROM mentions"))
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("beside", "says"),
    [((), "copy the lake to where it can be written"), (("-wal", "-shm"), "1")],
)
def test_a_file_system_that_takes_no_writes(lake: Lake, beside: tuple[str, ...], says: str) -> None:
    """On a real mount: root, whom containers run as, may write whatever the mode of a folder."""
    alone = ["unshare", "--map-root-user", "--mount"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*alone, "true"], capture_output=True).returncode
    ):
        pytest.skip("a read-only mount needs Linux's unshare and leave to make a user namespace")
    commit(lake, "w", "u", "dog")
    lake.close()
    for end in beside:
        (lake.path / f"catalog.sqlite{end}").touch()
    done = subprocess.run(
        [*alone, "sh", "-c", READ_ONLY, "sh", lake.path, sys.executable, "-c", READER, lake.path],
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip("this container may not mount read-only")
    assert done.stdout.strip().endswith(says), done.stderr
    assert done.stdout.count("\n") == 1


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.storage.test_lake import mention
from storage.errors import DiskFull
from storage.lake import Lake
import pyarrow as pa
lake = Lake.open(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
rows = pa.concat_tables([mention("w", f"thing {n} {hash(str(n))}") for n in range(5000)])
try:
    lake.stage_file("mentions", "w", rows)
except DiskFull as error:
    print(error)
"""


def test_a_full_disk_is_one_clear_error(lake: Lake) -> None:
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(lake.path), root], capture_output=True, text=True
    )
    assert "no disk space left" in done.stdout, done.stderr
    assert issubclass(DiskFull, StorageError)
    assert surfaces(lake, "mentions") == []


def test_a_path_that_would_be_a_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="another folder"):
        Lake.create(tmp_path / "la*ke")
    assert not list(tmp_path.iterdir())
    Lake.create(tmp_path / "la ke [1]?'ü").close()


def test_no_chunk_of_a_query_holds_many_maps(lake: Lake) -> None:
    """DuckDB refuses a chunk of more than 2 GiB, which 17,120 feature maps would fill."""
    found = lake.query("SELECT range AS number FROM range(20000) ORDER BY number").column(0)
    assert found.to_pylist() == list(range(20000))
    assert max(len(chunk) for chunk in found.chunks) <= 8192
