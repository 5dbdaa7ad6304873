"""CSV and TSV: one caption a row under a header; rows of one image that follow each other merge.

A quote that never closes would swallow the rest of the file, so each record is read strictly; when
that fails, only its first line is judged alone, and reading goes on with the second. So it is where
a record of several lines may as well be as many rows of tabs: a caption that holds a line break and
as many tabs is rarer than two with a stray quote.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pipeline.errors import SourceError
from pipeline.readers.base import (
    CAPTION_COLUMNS,
    IMAGE_COLUMNS,
    BadRecord,
    Item,
    ReaderOptions,
    Record,
    checked,
    excerpt,
    is_utf8,
    merged,
    not_encoded,
    pick,
    pick_needed,
    split_of,
)

_MAX_LINES = 10_000  # of one record: no caption is that long, so a quote was not closed
_ESCAPED = re.compile("[\udc80-\udcff]")  # what `surrogateescape` makes of undecodable bytes


def read_csv(source: Path, options: ReaderOptions) -> Iterator[Item]:
    """Comma-separated rows."""
    return merged(_read(source, options, ","))


def read_tsv(source: Path, options: ReaderOptions) -> Iterator[Item]:
    """Tab-separated rows; quotes that do not pair are taken as they stand."""
    return merged(_read(source, options, "\t"))


@dataclass(frozen=True)
class _Header:
    """Where in a row the columns are."""

    width: int
    image: int
    caption: int
    split: int | None
    is_list: bool  # a column named `captions` may hold a JSON list

    @classmethod
    def of(cls, names: list[str], source: Path, delimiter: str) -> _Header:
        """Find the columns.

        Raises:
            SourceError: one is missing.
        """
        other = next((d for d in "\t;|," if d != delimiter and d in "".join(names)), None)
        if len(names) == 1 and other:
            right = {"\t": " or use --format tsv", ",": " or use --format csv"}.get(other, "")
            raise SourceError(
                f"{source}: the header {excerpt(names[0])!r} is one column, separated by {other!r} "
                f"instead of {delimiter!r}; save it with {delimiter!r}{right}"
            )
        image = pick_needed(names, "image", IMAGE_COLUMNS, source)
        caption = pick_needed(names, "caption", CAPTION_COLUMNS, source)
        split = pick(names, ("split",))
        return cls(
            len(names),
            names.index(image),
            names.index(caption),
            None if split is None else names.index(split),
            caption.strip().lower() == "captions",
        )


class _Lines:
    """A file's lines; those that the current record took can be given back, but for its first."""

    def __init__(self, file: TextIO, source: Path, encoding: str) -> None:
        self._file = file
        self._source = source
        self._encoding = encoding
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _MAX_LINES:
            raise csv.Error("unclosed quote")
        try:
            line = self._again.popleft() if self._again else next(self._file)
        except UnicodeError as error:
            raise SourceError(
                f"{self._source}: not in {self._encoding}: {error}; name its --encoding"
            ) from None
        self.taken.append(line)
        self.number += 1
        return line

    def give_back(self) -> str:
        """Return all but the first line, which is the result."""
        first, *others = self.taken
        self._again.extendleft(reversed(others))
        self.number -= len(others)
        return first


def _read(source: Path, options: ReaderOptions, delimiter: str) -> Iterator[Item]:
    _refuse_binary(source, options.encoding)
    codec = "utf-8-sig" if is_utf8(options.encoding) else options.encoding
    # The default limit of 128 KiB a field would refuse long captions.
    csv.field_size_limit(sys.maxsize)
    with source.open(encoding=codec, errors="surrogateescape", newline="") as file:
        rows = _rows(_Lines(file, source, options.encoding), delimiter)
        names = next((row for _, row in rows if row), None)
        if not names:
            raise SourceError(f"{source}: no header; the first row must name the columns")
        header = _Header.of(names, source, delimiter)
        for line, row in rows:
            yield from _items(line, row, header, source, options)


def _rows(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | None]]:
    """Each row that is not blank with the number of its first line; None for broken quotes."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    width = 0  # of the header, which comes first
    while True:
        lines.taken.clear()
        start = lines.number + 1
        row: list[str] | None
        try:
            row = next(reader)
            if delimiter == "\t" and width and _are_rows(lines.taken, width):
                row = _literally(lines.give_back(), delimiter)
        except StopIteration:
            return
        except csv.Error:
            row = _literally(lines.give_back(), delimiter)
        width = width or len(row or ())
        if row != []:
            yield start, row


def _are_rows(lines: list[str], width: int) -> bool:
    """Whether a record's lines, of which there are several, are rows of tabs themselves."""
    said = [line for line in lines if line.strip()]
    return len(said) > 1 and all(line.count("\t") == width - 1 for line in said)


def _literally(line: str, delimiter: str) -> list[str] | None:
    """A line whose quotes do not follow the rules, as well as it can be understood."""
    line = line.rstrip("\r\n")
    if delimiter == "\t":
        return line.split("\t")
    if line.count('"') % 2:
        return None
    return next(csv.reader([line], delimiter=delimiter), [])


def _items(
    line: int, row: list[str] | None, header: _Header, source: Path, options: ReaderOptions
) -> Iterator[Item]:
    where, place = f"{source.absolute()}:{line}", f"{source.name}:{line}"
    if row is None:
        detail = f'{where}: a quote is not closed or not doubled; write "" for a quote in quotes'
        yield BadRecord(place, where, "broken-quotes", detail)
        return
    while len(row) > header.width and not row[-1]:
        row.pop()  # a delimiter at the end of the line
    if len(row) != header.width:
        few = len(row) < header.width
        advice = "add the missing ones" if few else "put captions that hold the delimiter in quotes"
        detail = f"{where}: {len(row)} fields, expected {header.width}; {advice}"
        yield BadRecord(place, where, "too-few-fields" if few else "too-many-fields", detail)
        return
    name, caption = row[header.image].strip(), row[header.caption]
    if _ESCAPED.search(name) or _ESCAPED.search(caption):
        raw = f"{name} {caption}".encode("utf-8", "surrogateescape")
        shown = raw.decode("utf-8", "backslashreplace")
        yield not_encoded(place, where, options.encoding, shown)
        return
    if "\0" in caption:
        yield BadRecord(name or place, where, "nul-byte", f"{where}: the caption has a NUL byte")
        return
    split = None if header.split is None else split_of(row[header.split])
    captions = _json_list(caption) if header.is_list else (caption,)
    image = options.locate(name, source.parent)
    yield from checked(Record(name, image, captions, split), where)


def _json_list(text: str) -> tuple[str, ...]:
    """The captions in a JSON list of texts; anything else is one caption."""
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return (text,)
        if all(isinstance(one, str) for one in found):
            return tuple(found)
    return (text,)


def _refuse_binary(source: Path, encoding: str) -> None:
    with source.open("rb") as file:
        head = file.read(4096)
    wide = encoding.lower().replace("_", "-").startswith(("utf-16", "utf16", "utf-32", "utf32"))
    if wide:
        return
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(f"{source}: UTF-16, not {encoding}; use --encoding utf-16")
    if b"\0" in head:
        raise SourceError(
            f"{source}: holds NUL bytes, so it is UTF-16 or no text; use --encoding utf-16 or "
            "name the right --format"
        )
