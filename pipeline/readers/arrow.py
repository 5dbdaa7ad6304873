"""Rows of Arrow tables as records, whether from Parquet or from a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from pipeline.errors import SourceError
from pipeline.readers.base import (
    CAPTION_COLUMNS,
    IMAGE_COLUMNS,
    BadRecord,
    Item,
    ReaderOptions,
    Record,
    checked,
    not_encoded,
    pick,
    pick_needed,
    split_of,
)

BATCH = 64  # rows in memory at a time: embedded images may be megabytes each


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what."""

    image: str
    caption: str
    split: str | None

    @classmethod
    def of(cls, schema: pa.Schema, source: Path) -> Columns:
        """Find the columns and check their types.

        Raises:
            SourceError: one is missing or of a type that holds no images or captions.
        """
        image = pick_needed(schema.names, "image", IMAGE_COLUMNS, source)
        caption = pick_needed(schema.names, "caption", CAPTION_COLUMNS, source)
        kind = schema.field(image).type
        if not (_is_text(kind) or _is_bytes(kind) or _is_picture(kind)):
            raise SourceError(
                f"{source}: the image column {image!r} is {kind}; needs a path, bytes, or a struct "
                "with bytes and path"
            )
        kind = schema.field(caption).type
        inner = kind.value_type if kinds.is_list(kind) or kinds.is_large_list(kind) else kind
        if not _is_text(inner):
            raise SourceError(
                f"{source}: the caption column {caption!r} is {kind}; needs a text or list of texts"
            )
        return cls(image, caption, pick(schema.names, ("split",)))

    @property
    def names(self) -> list[str]:
        """The columns to read; all others stay on disk."""
        return [name for name in (self.image, self.caption, self.split) if name is not None]


def _is_text(kind: pa.DataType) -> bool:
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))


def _is_picture(kind: pa.DataType) -> bool:
    """A Hugging Face `Image`: the bytes, or where they are."""
    return bool(kinds.is_struct(kind)) and {"bytes", "path"} & {f.name for f in kind} != set()


def records_of(
    batches: Iterable[pa.RecordBatch],
    columns: Columns,
    source: Path,
    options: ReaderOptions,
    split: str | None,
) -> Iterator[Item]:
    """Every row as a record; `split` counts where the row itself says none."""
    row = 0
    for batch in batches:
        images = _values(batch.column(columns.image))
        captions = _values(batch.column(columns.caption))
        splits = _values(batch.column(columns.split)) if columns.split else [None] * len(images)
        embedded = _is_bytes(batch.schema.field(columns.image).type)
        for image, caption, said in zip(images, captions, splits, strict=True):
            where = f"{source.absolute()}:{row}"
            of_row = split_of(said.decode("utf-8", "replace")) if isinstance(said, bytes) else None
            try:
                name, data = _image(image, embedded, f"{source.name}:{row}", source, options)
                texts = _texts(caption)
            except UnicodeDecodeError as error:
                shown = error.object.decode("utf-8", "backslashreplace")
                yield not_encoded(f"{source.name}:{row}", where, "utf-8", shown)
            else:
                if data is None:
                    detail = f"{where}: the row has neither bytes nor a path"
                    yield BadRecord(name, where, "no-image-name", detail)
                else:
                    yield from checked(Record(name, data, texts, of_row or split), where)
            row += 1


def _values(column: pa.Array) -> list[Any]:
    """Python values, texts as bytes: Arrow does not check that texts are UTF-8, decoding must."""
    kind = column.type
    if kinds.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        column = column.cast(pa.large_binary())
    elif kinds.is_list(kind) or kinds.is_large_list(kind):
        column = column.cast(pa.large_list(pa.large_binary()))
    values: list[Any] = column.to_pylist()
    return values


def _image(
    value: Any, embedded: bool, place: str, source: Path, options: ReaderOptions
) -> tuple[str, str | bytes | None]:
    """The image's name, and its bytes or uri; a name made of the row where it has none."""
    if value is None or embedded:
        return place, value
    if isinstance(value, dict):
        name = value.get("path") or place
        if value.get("bytes") is not None or not value.get("path"):
            return name, value.get("bytes")
    else:
        name = value.decode().strip()
    return name, options.locate(name, source.parent)


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ("",)
    if isinstance(value, bytes):
        return (value.decode(),)
    return tuple("" if text is None else text.decode() for text in value)
