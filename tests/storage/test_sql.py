"""Read-only SQL: people can ask anything and change or leak nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from storage.errors import BadSQL, RefusedSQL, StorageError
from storage.lake import Lake
from storage.sql import run_sql
from tests.storage.test_lake import commit


@pytest.fixture(scope="module")
def one_row(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with one mention; making it takes longer than any question."""
    folder = tmp_path_factory.mktemp("sql") / "lake"
    with Lake.create(folder) as lake:
        commit(lake, "w", "u", "dog")
    return folder


@pytest.fixture
def path(one_row: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(one_row, tmp_path / "lake"))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT surface FROM mentions",
        "FROM tags",
        "WITH m AS (SELECT * FROM mentions) SELECT count(*) FROM m;",
        "DESCRIBE tags",
        "SHOW TABLES",
        "SUMMARIZE mentions",
        "SELECT * FROM shard_balance",
        "SELECT * FROM unnest([1, 2])",
        "SELECT snapshot_id FROM lake.snapshots()",
        "VALUES (1)",
        "PIVOT tags ON kind IN ('object', 'scene') USING count(*)",
    ],
)
def test_questions_are_answered(path: Path, sql: str) -> None:
    assert run_sql(path, sql).num_columns > 0


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE tags",
        "DELETE FROM mentions",
        "INSERT INTO mentions SELECT * FROM mentions",
        "UPDATE mentions SET surface = 'x'",
        "CREATE TEMP TABLE t (i INT)",
        "COPY mentions TO '{lake}/data/x.parquet'",
        "COPY (SELECT 1) TO '{tmp}/x.csv'",
        "EXPORT DATABASE '{lake}/data/x'",
        "ATTACH '{tmp}/x.db'",
        "DETACH lake",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "PRAGMA database_list",
        "CALL ducklake_expire_snapshots('lake', older_than => now())",
        "CHECKPOINT lake",
        "SELECT 1; DROP TABLE tags",
        "SELECT * FROM read_text('{tmp}/secret.txt')",
        "SELECT * FROM read_csv('{tmp}/secret.txt')",
        "SELECT * FROM '{tmp}/secret.csv'",
        "SELECT (SELECT content FROM read_text('{tmp}/secret.txt'))",
        "DESCRIBE SELECT * FROM read_text('{tmp}/secret.txt')",
        "WITH x AS (SELECT * FROM glob('{tmp}/*')) SELECT * FROM x",
        "SELECT * FROM ducklake_cleanup_old_files('lake')",
        "SELECT * FROM query('DROP TABLE mentions')",
        "SELECT * FROM sqlite_scan('{lake}/catalog.sqlite', 'ducklake_table')",
    ],
)
def test_anything_else_is_refused(path: Path, tmp_path: Path, sql: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secret.csv").write_text("secret")
    before = sorted(tmp_path.rglob("*.*"))
    with pytest.raises(RefusedSQL):
        run_sql(path, sql.format(lake=path, tmp=tmp_path))
    assert run_sql(path, "SELECT surface FROM mentions").to_pydict() == {"surface": ["dog"]}
    after = [p for p in sorted(tmp_path.rglob("*.*")) if not p.name.startswith("catalog.sqlite-")]
    assert after == [p for p in before if not p.name.startswith("catalog.sqlite-")]


@pytest.mark.parametrize("sql", ["SELECT nope FROM tags", "SELEC 1", "SELECT 'x'::INT"])
def test_mistakes_are_explained(path: Path, sql: str) -> None:
    with pytest.raises(BadSQL):
        run_sql(path, sql)


@pytest.mark.parametrize("sql", ["{}", "SELECT * FROM ({})", "WITH p AS ({}) FROM p"])
def test_a_pivot_has_to_name_its_values(path: Path, sql: str) -> None:
    with pytest.raises(RefusedSQL, match=r"name them: PIVOT .* IN"):
        run_sql(path, sql.format("PIVOT tags ON kind USING count(*)"))
    with pytest.raises(RefusedSQL, match="at a time, got 2"):
        run_sql(path, "SELECT 1; SELECT 2")


def test_nothing_is_not_a_question(path: Path) -> None:
    with pytest.raises(RefusedSQL):
        run_sql(path, "  ")


def test_a_snapshot_is_answered_as_it_was(path: Path) -> None:
    with Lake.open(path) as lake:
        snapshot = lake.snapshot_id
        commit(lake, "w2", "u2", "cat")
    assert run_sql(path, "SELECT * FROM mentions").num_rows == 2
    assert run_sql(path, "SELECT * FROM mentions", snapshot=snapshot).num_rows == 1
    with pytest.raises(StorageError):
        run_sql(path, "SELECT 1", snapshot=10**6)
