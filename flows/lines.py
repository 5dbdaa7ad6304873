"""Captions from a file or standard input, in batches of constant memory."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

from pipeline.errors import SourceError

BATCH = 1000


def caption_lines(file: str) -> Iterator[list[str]]:
    """Batches of lines without their line ends; only a newline ends a line.

    Bytes that are not UTF-8 become replacement characters: one caption in, one line out, always.

    Raises:
        SourceError: standard input is wanted and closed.
        OSError: the file cannot be read.
    """
    if file == "-" and sys.stdin is None:
        raise SourceError("standard input is closed; name a file or pipe captions in")
    with (
        nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as source,
        io.TextIOWrapper(source, encoding="utf-8-sig", errors="replace", newline="\n") as stream,
    ):
        lines = (line.rstrip("\r\n") for line in stream)
        while batch := list(islice(lines, BATCH)):
            yield batch
