"""A Hugging Face dataset folder: `save_to_disk` Arrow, Parquet, or images with a metadata file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.readers.arrow import Columns, records_of
from pipeline.readers.base import (
    CAPTION_COLUMNS,
    IMAGE_COLUMNS,
    BadRecord,
    Item,
    ReaderOptions,
    Record,
    checked,
    decoded,
    excerpt,
    merged,
    not_encoded,
    pick,
    split_of,
    split_of_folder,
)
from pipeline.readers.folder import walk
from pipeline.readers.parquet import files_with, read_parquet

METADATA = "metadata.jsonl"


def read_hf(source: Path, options: ReaderOptions) -> Iterator[Item]:
    """Whatever of the three the folder holds."""
    if not source.is_dir():
        raise SourceError(f"{source}: --format hf needs the data set's folder, this is a file")
    names = {name for _, files in walk(source) for name in files}
    if any(name.endswith(".arrow") for name in names):
        files = files_with(source, ".arrow")
        return merged(
            item for path in files for item in _read_arrow(path, options, _split(path, source))
        )
    if METADATA in names:
        files = files_with(source, METADATA)
        return merged(
            item for path in files for item in _read_metadata(path, options, _split(path, source))
        )
    return read_parquet(source, options)


def _split(path: Path, source: Path) -> str | None:
    """That of the file's folder; how the source itself is called says nothing."""
    return split_of_folder(path.relative_to(source).parent.name)


def _read_arrow(path: Path, options: ReaderOptions, split: str | None) -> Iterator[Item]:
    try:
        with pa.memory_map(str(path)) as file, _batches(file) as reader:
            columns = Columns.of(reader.schema, path)
            # Slices of a memory map: only the rows at hand are in memory.
            rows = (batch.slice(at, 64) for batch in reader for at in range(0, len(batch), 64))
            yield from records_of(rows, columns, path, options, split)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(f"{path}: damaged Arrow file: {reason}; get the file again") from error


@contextmanager
def _batches(file: Any) -> Iterator[Any]:
    with pa.ipc.open_stream(file) as reader:
        yield reader


def _read_metadata(path: Path, options: ReaderOptions, split: str | None) -> Iterator[Item]:
    with path.open("rb") as file:
        for line, data in enumerate(file, 1):
            if not data.strip():
                continue
            where, place = f"{path.absolute()}:{line}", f"{path.name}:{line}"
            text = decoded(data, options.encoding)
            if text is None:
                shown = data.decode("utf-8", "backslashreplace")
                yield not_encoded(place, where, options.encoding, shown)
                continue
            record = _record(text, path, options, split)
            if record is None:
                detail = f"{where}: needs file_name and captions, found {excerpt(text)}"
                yield BadRecord(place, where, "bad-metadata", detail)
            else:
                yield from checked(record, where)


def _record(text: str, path: Path, options: ReaderOptions, split: str | None) -> Record | None:
    """The line's record, or None when it is no JSON object with an image and captions.

    `split` counts where the line itself says none.
    """
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    image, caption = pick(list(row), IMAGE_COLUMNS), pick(list(row), CAPTION_COLUMNS)
    name = row[image] if image else None
    found = row[caption] if caption else None
    captions = [found] if isinstance(found, str) else found
    if not isinstance(name, str) or not isinstance(captions, list):
        return None
    if not all(isinstance(one, str) for one in captions):
        return None
    column = pick(list(row), ("split",))
    said = row[column] if column else None
    of_row = None if said is None else split_of(str(said))
    return Record(name, options.locate(name, path.parent), tuple(captions), of_row or split)
