"""What the catalog holds, made with a lake and brought up to date when an older one is opened."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

import duckdb
import pyarrow as pa

from storage.schemas import DERIVED, TABLES

_DUCKDB_TYPES = {
    pa.string(): "VARCHAR",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.binary(): "BLOB",
    pa.timestamp("us"): "TIMESTAMP",
}


INSIDE = "lake:"
"""How the uri of a picture begins that lies in the lake's own folder, wherever that is moved to."""
PLACE = "lake_path"
"""The variable of a connection that says where the lake is."""
_IMAGE_COLUMNS = (
    f"* REPLACE (CASE WHEN starts_with(uri, '{INSIDE}') AND getvariable('{PLACE}') IS NOT NULL "
    f"THEN getvariable('{PLACE}') || '/' || uri[{len(INSIDE) + 1}:] ELSE uri END AS uri)"
)


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """All tables and views, in the transaction that the caller has begun."""
    for name in TABLES:
        connection.execute(f"CREATE TABLE {name} ({_columns(name)})")
    for statement in _views():
        connection.execute(statement)


def upgrade(connection: duckdb.DuckDBPyConnection) -> None:
    """Tables and columns that an older lake lacks, and today's views; no row is touched.

    It may run again on a lake that has some or all of them.
    """
    found = connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_catalog = 'lake'"
    ).fetchall()
    known: dict[str, set[str]] = {}
    for table, column in found:
        known.setdefault(table, set()).add(column)
    for name, table in TABLES.items():
        if name not in known:
            connection.execute(f"CREATE TABLE {name} ({_columns(name)})")
            continue
        for field in table.schema:
            if field.name not in known[name]:
                connection.execute(
                    f'ALTER TABLE {name} ADD COLUMN "{field.name}" {_sql_type(field.type)}'
                )
    for statement in _views():
        connection.execute(statement.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))


def _views() -> Iterator[str]:
    """One statement a view, each after those that it reads."""
    yield (
        "CREATE VIEW current_ledger AS SELECT * FROM ledger "
        "QUALIFY row_number() OVER (PARTITION BY stage, unit ORDER BY seq DESC) = 1"
    )
    for name in DERIVED:
        if name == "rejects":  # less of them count: views.sql says which
            continue
        columns = _IMAGE_COLUMNS if name == "images" else "*"
        yield (
            f"CREATE VIEW current_{name} AS SELECT {columns} FROM {name} "
            "WHERE work_id IN (SELECT work_id FROM current_ledger)"
        )
    text = resources.files("storage").joinpath("views.sql").read_text(encoding="utf-8")
    yield from (statement.query for statement in duckdb.extract_statements(text))


def _columns(table: str) -> str:
    return ", ".join(f'"{f.name}" {_sql_type(f.type)}' for f in TABLES[table].schema)


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        if not pa.types.is_struct(kind.value_type):
            return f"{_sql_type(kind.value_type)}[]"
        fields = ", ".join(f'"{f.name}" {_sql_type(f.type)}' for f in kind.value_type)
        return f"STRUCT({fields})[]"
    return _DUCKDB_TYPES[kind]
