"""Between rows, arrays and Arrow columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.schemas import TABLES

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

_BY_RUNNER = ("shard_id", "work_id")


def table_of(table: str, rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> pa.Table:
    """Rows (or columns) as a typed table of the lake, without the columns that the runner adds."""
    schema = TABLES[table].schema
    fields = [schema.field(name) for name in schema.names if name not in _BY_RUNNER]
    columns: Mapping[str, Any]
    if isinstance(rows, Mapping):
        columns = rows
    else:
        columns = {f.name: [row.get(f.name) for row in rows] for f in fields}
    arrays = [pa.array(columns[f.name], f.type) for f in fields]
    typed = pa.table(arrays, schema=pa.schema(fields))
    if "unit" in columns:
        typed = typed.append_column("unit", pa.array(columns["unit"], pa.string()))
    return typed


def constant(value: Any, length: int, kind: pa.DataType) -> pa.Array:
    """A column that holds one value."""
    return pa.repeat(pa.scalar(value, kind), length)


def blobs_of(array: Halves) -> pa.Array:
    """The rows of a float16 array as binary values."""
    flat = np.ascontiguousarray(array, dtype=np.float16).reshape(len(array), -1)
    return pa.array([row.tobytes() for row in flat], pa.binary())


def array_of(blobs: pa.ChunkedArray, shape: tuple[int, ...]) -> Halves:
    """Binary values as a float16 array of (rows, *shape)."""
    joined = bytearray().join(blobs.to_pylist())  # writable, which torch wants
    return np.frombuffer(joined, dtype=np.float16).reshape(len(blobs), *shape)
