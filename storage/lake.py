"""The lake: Parquet files under a DuckLake catalog, written by one committer at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa
from duckdb_extensions import import_extension

from storage import catalog, staged
from storage.crash import crash_point
from storage.errors import BadSQL, DiskFull, NewerLake, NotALake, StorageError
from storage.schemas import CATALOG_VERSION, LEDGER, RUNS, TABLES

MARKER = "lake.toml"
BATCH = 2048
"""Rows of a streamed result at a time: a vector of DuckDB's."""
_CHUNK = 8192
"""Rows of a column's chunk: of feature maps, DuckDB fills no chunk with more than 2 GiB."""
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def connect(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the DuckLake and SQLite extensions, loaded without network."""
    connection = duckdb.connect(config={"threads": threads} if threads else {})
    # DuckDB would keep all that it reads of Parquet files; the system caches files already.
    connection.execute("SET enable_external_file_cache = false")
    # Its progress bar would stand in our output once a query takes two seconds.
    connection.execute("SET enable_progress_bar = false")
    for extension in ("sqlite_scanner", "ducklake"):
        import_extension(extension, con=connection)
        connection.execute(f"LOAD {extension}")
    return connection


def quote(text: str) -> str:
    """A text as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def utc_now() -> datetime:
    """The time in UTC, without zone, as the lake stores it."""
    return datetime.now(UTC).replace(tzinfo=None)


class Lake:
    """One lake folder: `lake.toml`, `catalog.sqlite`, `data/` (Parquet), `models/`, `blobs/`.

    Every query sees the newest snapshot. Writing goes through `commit`, which registers Parquet
    files and ledger rows in one transaction, so a unit is done exactly when its rows are visible.
    """

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self._connection = connection

    # ---- opening -------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make an empty lake in `path`; an existing lake is an error.

        Raises:
            StorageError: the folder already holds a lake, or cannot be written.
        """
        path = path.resolve()
        if "*" in str(path):
            raise StorageError(f"{path}: DuckDB reads * in a path as any text; name another folder")
        if (path / MARKER).exists():
            raise StorageError(f"{path}: is a lake already; choose another folder with --lake DIR")
        with no_space_is_clear(path):
            for folder in ("data", "models", "blobs"):
                (path / folder).mkdir(parents=True, exist_ok=True)
            (path / "catalog.sqlite").unlink(missing_ok=True)  # of an init that was interrupted
            lake = cls(path, connect())
            lake._attach()
            with lake._transaction("init"):
                catalog.create(lake._connection)
            # Written last: its existence means that the lake is whole.
            _write_whole(path / MARKER, f"catalog_version = {CATALOG_VERSION}\n")
        return lake

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, snapshot: int | None = None) -> Self:
        """Open the lake in `path`, optionally as it was at a snapshot.

        A lake of an older version gets the tables and views that it lacks, also when it is opened
        to be read.

        Raises:
            NotALake: there is no lake.
            NewerLake: a newer version of Tagwright wrote it.
            StorageError: there is no such snapshot, an older lake cannot be brought up to date, or
                SQLite cannot read the catalog where nothing can be written.
        """
        path = path.resolve()
        version = _version(path)
        if version > CATALOG_VERSION:
            raise NewerLake(
                f"{path}: written by a newer Tagwright (catalog version {version}, "
                f"this one reads up to {CATALOG_VERSION}); upgrade Tagwright"
            )
        if version < CATALOG_VERSION:
            _upgrade_at(path, version)
        lake = cls(path, connect())
        lake._attach(read_only=read_only, snapshot=snapshot)
        return lake

    def _attach(self, *, read_only: bool = False, snapshot: int | None = None) -> None:
        # Files are named relative to the data path, so a lake can be moved or copied as a folder.
        options = [f"DATA_PATH {quote(str(self.path / 'data'))}", "OVERRIDE_DATA_PATH true"]
        # WAL lets readers and the committer work at once; a reader needs no journal setting.
        options += ["META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 5000"]
        options += ["READ_ONLY"] if read_only else []
        options += [f"SNAPSHOT_VERSION {snapshot}"] if snapshot is not None else []
        target = quote(f"ducklake:sqlite:{self.path / 'catalog.sqlite'}")
        try:
            self._connection.execute(f"ATTACH {target} AS lake ({', '.join(options)})")
            self._begin(self._connection)
        except duckdb.Error as error:
            # SQLite keeps an index of the write-ahead log beside the catalog while it is open.
            beside = self.path / "catalog.sqlite-shm"
            if not (beside.exists() or os.access(self.path, os.W_OK)):
                raise StorageError(
                    f"{self.path}: cannot be written, and to read it SQLite has to make "
                    f"{beside.name} there; copy the lake to where it can be written"
                ) from error
            what = f"snapshot {snapshot}" if snapshot is not None else "the catalog"
            raise StorageError(f"{self.path}: cannot open {what}: {_first_line(error)}") from error

    def _begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("USE lake")
        connection.execute(f"SET VARIABLE {catalog.PLACE} = {quote(str(self.path))}")

    def _upgrade(self, version: int) -> None:
        """Bring a lake of an older version up to date, unless somebody else just did.

        The marker follows the transaction: a kill between the two repeats what is done already.
        """
        with self.locked():
            if _version(self.path) >= CATALOG_VERSION:
                return
            with self._transaction(f"upgrade from catalog version {version}"):
                catalog.upgrade(self._connection)
                crash_point("upgrade:committing")
            crash_point("upgrade:committed")
            _write_whole(self.path / MARKER, f"catalog_version = {CATALOG_VERSION}\n")

    def close(self) -> None:
        """Release the catalog."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- reading -------------------------------------------------------------------------------

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run a trusted query; `$name` in it is a parameter.

        Raises:
            BadSQL: DuckDB cannot run it.
        """
        try:
            return self._connection.execute(sql, dict(parameters or {})).to_arrow_table(_CHUNK)
        except duckdb.Error as error:
            raise BadSQL(f"{_first_line(error)}; in: {' '.join(sql.split())[:200]}") from error

    def batches(
        self, sql: str, parameters: Mapping[str, Any] | None = None, rows: int = BATCH
    ) -> Iterator[pa.RecordBatch]:
        """Run a trusted query whose result need not fit into memory; up to `rows` rows at a time.

        Their order is that of the query's ORDER BY, else any. Other queries may run meanwhile.

        Raises:
            BadSQL: DuckDB cannot run it.
        """
        with self._connection.cursor() as cursor:
            self._begin(cursor)
            try:
                yield from cursor.execute(sql, dict(parameters or {})).to_arrow_reader(rows)
            except duckdb.Error as error:
                raise BadSQL(f"{_first_line(error)}; in: {' '.join(sql.split())[:200]}") from error

    def scalar(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """The single value of a query, or None when it has no row."""
        table = self.query(sql, parameters)
        return table.column(0)[0].as_py() if table.num_rows else None

    @property
    def snapshot_id(self) -> int:
        """The newest snapshot."""
        return int(self.scalar("SELECT max(snapshot_id) FROM lake.snapshots()"))

    @property
    def raw(self) -> duckdb.DuckDBPyConnection:
        """The connection itself, for `storage.sql`."""
        return self._connection

    # ---- writing -------------------------------------------------------------------------------

    def stage_file(self, table: str, name: str, rows: pa.Table) -> Path:
        """Write rows as a Parquet file that `commit` can register; not visible until then.

        `name` is derived from the work alone. The file's own name is new each time, for another
        attempt at the same work may be registered already; `commit` removes what others left.

        Raises:
            DiskFull: there is no space left.
        """
        folder = self.path / "data" / "main" / table
        rows = rows.select(TABLES[table].schema.names).cast(TABLES[table].schema)
        with no_space_is_clear(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            return staged.write(folder, name, rows)

    @contextmanager
    def locked(self, name: str = ".lock") -> Iterator[None]:
        """Hold a lock of the lake on this file system; by default its write lock, which makes one
        committer at a time."""
        with (self.path / name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def commit(
        self, files: Mapping[str, Sequence[Path]], ledger: Sequence[Mapping[str, Any]], message: str
    ) -> bool:
        """Register staged files and their ledger rows in one transaction.

        Rows of works that are done, such as by somebody else meanwhile, are left out. A work that
        is done and not the current one of its unit is so again. False when nothing was left to do.

        Raises:
            DiskFull: there is no space left.
            StorageError: a file cannot be registered.
        """
        with self.locked(), no_space_is_clear(self.path):
            if files and (done := self._done(ledger)):
                if done.keys() >= {row["work_id"] for row in ledger}:
                    files = staged.remove(files)
                else:
                    staged.leave_out(files, done)
                ledger = [row for row in ledger if not done.get(row["work_id"])]
                if not ledger:
                    return False
            with self._transaction(message):
                for table, paths in files.items():
                    for path in paths:
                        self._connection.execute(
                            f"CALL ducklake_add_data_files('lake', '{table}', {quote(str(path))})"
                        )
                self._insert_ledger(ledger)
                crash_point(f"{message}:committing")
            staged.sweep(files)
        return True

    def record_run(self, row: Mapping[str, Any]) -> None:
        """Append a row about a run's start or end."""
        rows = pa.Table.from_pylist([{**row, "recorded_at": utc_now()}], schema=RUNS.schema)
        with self.locked(), no_space_is_clear(self.path), self._transaction("run"):
            self._append("runs", rows)

    def _done(self, ledger: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
        """Which works of some ledger rows are done, and whether each is its unit's current one."""
        found = self._connection.execute(
            "SELECT work_id, bool_or(newest) FROM (SELECT work_id, "
            "seq = max(seq) OVER (PARTITION BY stage, unit) AS newest FROM ledger "
            "WHERE list_contains($units, unit)) WHERE list_contains($works, work_id) GROUP BY ALL",
            {"units": [row["unit"] for row in ledger], "works": [row["work_id"] for row in ledger]},
        ).fetchall()
        return dict(found)

    def _insert_ledger(self, ledger: Sequence[Mapping[str, Any]]) -> None:
        now, newest = utc_now(), self.scalar("SELECT coalesce(max(seq), 0) FROM ledger")
        rows = [
            {**row, "seq": newest + position + 1, "committed_at": now}
            for position, row in enumerate(ledger)
        ]
        self._append("ledger", pa.Table.from_pylist(rows, schema=LEDGER.schema))

    def _append(self, table: str, rows: pa.Table) -> None:
        self._connection.register("new_rows", rows)
        try:
            self._connection.execute(f"INSERT INTO {table} SELECT * FROM new_rows")
        finally:
            self._connection.unregister("new_rows")

    @contextmanager
    def _transaction(self, message: str) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
            self._connection.execute(f"CALL lake.set_commit_message('tagwright', {quote(message)})")
            self._connection.execute("COMMIT")
        except BaseException:
            # The transaction may already be gone when COMMIT itself failed.
            with suppress(duckdb.TransactionException):
                self._connection.execute("ROLLBACK")
            raise


@contextmanager
def no_space_is_clear(path: Path) -> Iterator[None]:
    """Turn 'no space left', whoever says it, into one clear error."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise _disk_full(path) from error
        raise
    except duckdb.Error as error:
        text = str(error).lower()
        if (
            any(os.strerror(number).lower() in text for number in _NO_SPACE)
            or "disk is full" in text
        ):
            raise _disk_full(path) from error
        raise StorageError(f"{path}: {_first_line(error)}") from error


def _version(path: Path) -> int:
    """The catalog version of the lake in a folder."""
    try:
        return int(tomllib.loads((path / MARKER).read_text())["catalog_version"])
    except (FileNotFoundError, NotADirectoryError):
        raise NotALake(
            f"{path}: no lake here; run `tagwright init --lake {path}` or name another folder"
        ) from None
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError):
        raise StorageError(f"{path / MARKER}: damaged; restore it from a backup") from None


def _upgrade_at(path: Path, version: int) -> None:
    """Bring the older lake in a folder up to date.

    Raises:
        StorageError: it cannot be written.
    """
    lake = Lake(path, connect())
    try:
        with no_space_is_clear(path):
            lake._attach()
            lake._upgrade(version)
    except DiskFull:
        raise
    except (StorageError, OSError) as error:
        raise StorageError(
            f"{path}: written by an older Tagwright (catalog version {version}) and cannot be "
            f"brought up to date: {_first_line(error)}; run `tagwright status` where it can be "
            "written"
        ) from error
    finally:
        lake.close()


def _disk_full(path: Path) -> DiskFull:
    return DiskFull(
        f"{path}: no disk space left; nothing half-written is visible; "
        "free some space and run again"
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)
