"""Read-only SQL for people: one SELECT over the lake's own tables, and nothing else.

Three fences: the statement must be a query (DuckDB's own parser says so), it may call only the
table functions listed here, and the connection is read-only, without file access outside the lake
and with its configuration locked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from storage.errors import BadSQL, RefusedSQL
from storage.lake import Lake, quote

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "snapshots"})
"""Table functions that neither read files nor change anything."""


def run_sql(path: Path, sql: str, *, snapshot: int | None = None) -> pa.Table:
    """Run one read-only query over the lake in `path`, optionally at a snapshot.

    Raises:
        RefusedSQL: the statement is not a plain query over the lake.
        BadSQL: the query has an error.
    """
    with Lake.open(path, read_only=True, snapshot=snapshot) as lake:
        connection = lake.raw
        _check(connection, sql)
        connection.execute(f"SET allowed_directories=[{quote(str(lake.path / 'data'))}]")
        connection.execute("SET enable_external_access=false")
        connection.execute("SET lock_configuration=true")
        try:
            return connection.execute(sql).to_arrow_table()
        except duckdb.PermissionException as error:
            raise RefusedSQL(f"refused: {error}") from error
        except duckdb.Error as error:
            raise BadSQL(str(error).strip()) from error


def check_query(sql: str) -> None:
    """Whether this is one plain query, as far as that can be told without a lake.

    Raises:
        RefusedSQL: the statement is not a plain query.
        BadSQL: it is no SQL.
    """
    with duckdb.connect(config={}) as connection:
        _check(connection, sql)


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise BadSQL(str(error).strip()) from error
    # DuckDB makes two of one PIVOT whose columns only the rows tell: a type of them comes first.
    if any(not statement.query for statement in statements):
        raise RefusedSQL(
            "refused: PIVOT without the values to make columns of; name them: "
            "PIVOT tags ON kind IN ('object', 'scene') USING count(*)"
        )
    if len(statements) != 1:
        raise RefusedSQL(f"refused: one statement at a time, got {len(statements)}")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise RefusedSQL(f"refused: {kind.name}; only SELECT, DESCRIBE and SHOW are possible here")
    serialized = connection.execute(
        "SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}
    ).fetchone()
    tree = json.loads(serialized[0]) if serialized else {"error": True}
    if tree.get("error"):
        # SHOW and DESCRIBE parse as SELECT but cannot be serialized; they name no function.
        if sql.split(None, 1)[0].upper() in {"SHOW", "DESCRIBE", "SUMMARIZE"} and "(" not in sql:
            return
        raise RefusedSQL("refused: only SELECT, DESCRIBE and SHOW are possible here")
    for name in _table_functions(tree):
        if name not in TABLE_FUNCTIONS:
            raise RefusedSQL(
                f"refused: table function {name}; choose from: {', '.join(sorted(TABLE_FUNCTIONS))}"
            )


def _table_functions(node: Any) -> Iterator[str]:
    """Names of all table functions in a serialized query, however deep."""
    if isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            yield node["function"]["function_name"].lower()
        for child in node.values():
            yield from _table_functions(child)
    elif isinstance(node, list):
        for child in node:
            yield from _table_functions(child)
