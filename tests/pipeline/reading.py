"""What tests of the readers ask: the records of a source and its bad rows, or one clear error."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SourceError
from pipeline.readers import BadRecord, ReaderOptions, Record, open_source

PLAIN = ReaderOptions()


def read(
    source: Path, format: str | None = None, options: ReaderOptions = PLAIN
) -> tuple[list[Record], list[BadRecord]]:
    items = list(open_source(source, format, options))
    good = [item for item in items if isinstance(item, Record)]
    return good, [item for item in items if isinstance(item, BadRecord)]


def captions(records: Iterable[Record]) -> dict[str, tuple[str, ...]]:
    return {record.name: record.captions for record in records}


def text(tmp_path: Path, content: str | bytes, name: str = "pairs.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def fails(source: Path, *words: str, format: str | None = None, **options: Any) -> None:
    with pytest.raises(SourceError) as caught:
        read(source, format, ReaderOptions(**options))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
