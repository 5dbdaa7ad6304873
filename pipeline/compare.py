"""Do two lakes hold the same rows? Content columns of all current tables, whatever their order."""

from __future__ import annotations

from storage.lake import Lake
from storage.schemas import DERIVED, TABLES


def content_digest(lake: Lake, table: str) -> tuple[int, int]:
    """Rows and an order-free digest of a table's current content."""
    columns = ", ".join(f'"{name}"' for name in TABLES[table].content)
    sql = (
        "SELECT count(*)::BIGINT AS n, coalesce(sum(h), 0)::HUGEINT % 1000000007 AS h FROM "
        f"(SELECT hash({columns})::HUGEINT AS h FROM current_{table})"
    )
    (row,) = lake.query(sql).to_pylist()
    return int(row["n"]), int(row["h"])


def different_tables(one: Lake, other: Lake) -> list[str]:
    """Names of the tables whose current content differs between two lakes."""
    return [t for t in DERIVED if content_digest(one, t) != content_digest(other, t)]
