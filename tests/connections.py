"""Connections to DuckDB that open at once."""

from __future__ import annotations

from typing import Any

import duckdb

CONNECT = duckdb.connect
QUICK = {"allow_unsigned_extensions": True, "threads": 1}
"""No check of the signatures of DuckDB's extensions, which is most of opening a lake; and one
thread, since on a few rows two take twice the time."""


def quick(config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """In place of `duckdb.connect`."""
    return CONNECT(config={**config, **QUICK})
