"""Parquet files that are written and not registered yet; each attempt at a work has its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Files = Mapping[str, Sequence[Path]]
"""By table."""


def write(folder: Path, name: str, rows: pa.Table) -> Path:
    """Write rows under a name that is new and begins with `name`; what fails leaves no file."""
    path = folder / f"{name}-{uuid4().hex}.parquet"
    _write(path, rows)
    return path


def _write(path: Path, rows: pa.Table) -> None:
    # Blobs of float16 do not compress; skipping zstd and dictionaries halves the time.
    blobs = [f.name for f in rows.schema if pa.types.is_binary(f.type)]
    plain = [f.name for f in rows.schema if f.name not in blobs and not pa.types.is_list(f.type)]
    compression = {name: "none" if name in blobs else "zstd" for name in rows.schema.names}
    try:
        pq.write_table(rows, path, compression=compression, use_dictionary=plain)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def leave_out(files: Files, works: Collection[str]) -> None:
    """Write files again, in their place, without the rows of some works."""
    for path in chain.from_iterable(files.values()):
        rows = pq.ParquetFile(path).read()
        _write(path, rows.filter(~pc.field("work_id").isin(list(works))))


def remove(files: Files) -> Files:
    """Remove files; returns those that are left to register, which are none."""
    for path in chain.from_iterable(files.values()):
        path.unlink(missing_ok=True)
    return {}


def sweep(registered: Files) -> None:
    """Remove what other attempts at the same works, such as killed ones, have written."""
    for path in chain.from_iterable(registered.values()):
        for other in path.parent.glob(f"{_name(path)}-*.parquet"):
            if other != path and _name(other) == _name(path):
                other.unlink(missing_ok=True)


def _name(path: Path) -> str:
    return path.stem.rpartition("-")[0]
