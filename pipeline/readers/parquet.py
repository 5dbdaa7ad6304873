"""Parquet: a file or a folder of them; images by path, as bytes, or as Hugging Face writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import SourceError
from pipeline.readers.arrow import BATCH, Columns, records_of
from pipeline.readers.base import Item, ReaderOptions, merged, split_of_folder
from pipeline.readers.folder import walk


def read_parquet(source: Path, options: ReaderOptions) -> Iterator[Item]:
    """All rows, a few at a time; in a folder, `train-*.parquet` and the like name the split."""
    if not source.is_dir():
        return merged(_read(source, options, None))
    files = files_with(source, ".parquet")
    return merged(item for path in files for item in _read(path, options, _split(path, source)))


def files_with(source: Path, suffix: str) -> list[Path]:
    """The files under a folder whose names end so, in order.

    Raises:
        SourceError: there is none.
    """
    files = [
        folder / name for folder, names in walk(source) for name in names if name.endswith(suffix)
    ]
    if not files:
        raise SourceError(f"{source}: no {suffix} files in it; check the path")
    return files


def _split(path: Path, source: Path) -> str | None:
    """The hub names its files `train-00000-of-00002.parquet`, others use one folder a split.

    A file called `data-00000-of-00001.parquet` or `0000.parquet` says nothing of it, nor does the
    name of the source itself.
    """
    first = re.split("[-_.]", path.stem)[0]
    return split_of_folder(first) or split_of_folder(path.relative_to(source).parent.name)


def _read(path: Path, options: ReaderOptions, split: str | None) -> Iterator[Item]:
    try:
        # A small buffer makes Arrow stream a row group instead of loading its images whole.
        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            columns = Columns.of(file.schema_arrow, path)
            batches = file.iter_batches(BATCH, columns=columns.names)
            yield from records_of(batches, columns, path, options, split)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(f"{path}: damaged Parquet: {reason}; get the file again") from error
