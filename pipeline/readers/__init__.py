"""Readers by format: one file each, one line here; and which format a source has."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.readers.base import (
    IMAGE_SUFFIXES,
    BadRecord,
    Item,
    Reader,
    ReaderOptions,
    Record,
    UnreadableUri,
    read_uri,
)
from pipeline.readers.coco import read_coco
from pipeline.readers.delimited import read_csv, read_tsv
from pipeline.readers.folder import read_folder, walk
from pipeline.readers.huggingface import METADATA, read_hf
from pipeline.readers.parquet import read_parquet
from pipeline.readers.webdataset import read_webdataset

__all__ = [
    "READERS",
    "BadRecord",
    "Reader",
    "ReaderOptions",
    "Record",
    "UnreadableUri",
    "guess_format",
    "open_source",
    "read_uri",
]

READERS: dict[str, Reader] = {
    "csv": read_csv,
    "tsv": read_tsv,
    "coco": read_coco,
    "folder": read_folder,
    "parquet": read_parquet,
    "webdataset": read_webdataset,
    "hf": read_hf,
}
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".tar": "webdataset",
    ".tgz": "webdataset",
}
_TABLES = (".csv", ".tsv", ".json")


def open_source(source: Path, format: str | None, options: ReaderOptions) -> Iterator[Item]:
    """The records of a source; what is wrong with it as a whole is said at once.

    Raises:
        SourceError: there is no such source, it is empty, or it is not of that format.
    """
    _check(source, options)
    name = format or guess_format(source)
    if name not in READERS:
        raise SourceError(f"--format {name}: unknown; choose from: {_choices()}")
    if source.is_dir() and name in ("csv", "tsv", "coco"):
        raise SourceError(f"{source}: a folder; --format {name} needs the file itself")
    records = READERS[name](source, options)
    # Taking the first record here makes a wrong header or format fail before any work is done.
    first = next(records, None)
    return iter(()) if first is None else chain([first], records)


def guess_format(source: Path) -> str:
    """The format, from the name of a file or the content of a folder.

    Raises:
        SourceError: it cannot be told; the message lists the choices.
    """
    if source.is_dir():
        return _guess_folder(source)
    name = source.name.lower()
    if ".tar." in name:
        return "webdataset"
    if source.suffix.lower() == ".json":
        return _guess_json(source)
    if source.suffix.lower() in _SUFFIXES:
        return _SUFFIXES[source.suffix.lower()]
    raise SourceError(f"{source}: cannot tell its format; name it with --format: {_choices()}")


def _guess_json(source: Path) -> str:
    with source.open("rb") as file:
        head = file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip()
    if head.startswith(b"["):
        raise SourceError(
            f"{source}: a JSON list, not COCO, which is an object with 'images' and 'annotations'; "
            f"convert it to one of: {_choices()}"
        )
    return "coco"


def _guess_folder(source: Path) -> str:
    """The first that fits counts: shards and tables may lie beside a few images, not vice versa."""
    found: set[str] = set()
    tables: list[str] = []
    for folder, names in walk(source):
        found |= {Path(name).suffix.lower() for name in names} | ({METADATA} & set(names))
        if folder == source:
            tables = [name for name in names if Path(name).suffix.lower() in _TABLES]
    for sign, format in (
        (".arrow", "hf"), (".tar", "webdataset"), (".parquet", "parquet"), (METADATA, "hf"),
    ):  # fmt: skip
        if sign in found:
            return format
    if found & IMAGE_SUFFIXES and (".txt" in found or not tables):
        return "folder"
    if tables:
        raise SourceError(
            f"{source}: a folder that holds {', '.join(tables[:3])}; name the file itself, and "
            "--images DIR for its images, or --format folder to read images alone"
        )
    raise SourceError(f"{source}: cannot tell its format; name it with --format: {_choices()}")


def _check(source: Path, options: ReaderOptions) -> None:
    if not source.exists():
        raise SourceError(f"{source}: no such file or folder; check the path")
    if source.is_file() and not source.stat().st_size:
        raise SourceError(f"{source}: empty (0 bytes); get the file again")
    if source.is_dir() and not any(source.iterdir()):
        raise SourceError(f"{source}: an empty folder; check the path")
    if options.images is not None and not options.images.is_dir():
        raise SourceError(f"--images {options.images}: no such folder; check the path")
    try:
        "a".encode(options.encoding)  # some codecs are not of text, or of nothing
    except (LookupError, UnicodeError):
        raise SourceError(
            f"--encoding {options.encoding}: unknown; use utf-8, utf-16, latin-1 or cp1252"
        ) from None


def _choices() -> str:
    return ", ".join(sorted(READERS))
