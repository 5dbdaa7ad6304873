"""A folder of images, each with its captions in a .txt file of the same stem, one a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.readers.base import (
    IMAGE_SUFFIXES,
    BadRecord,
    Item,
    ReaderOptions,
    Record,
    checked,
    decoded,
    not_encoded,
    printable,
)
from storage.lake import MARKER


def read_folder(source: Path, options: ReaderOptions) -> Iterator[Item]:
    """All images under the folder in the order of their paths."""
    if not source.is_dir():
        raise SourceError(f"{source}: --format folder needs a folder, this is a file")
    root = source.absolute()
    for folder, names in walk(root):
        images = [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        texts = {Path(name).stem: name for name in names if name.lower().endswith(".txt")}
        for name in images:
            path = folder / name
            text = texts.get(path.stem)
            captions, bad = ((), []) if text is None else _captions(folder / text, options.encoding)
            yield from bad
            record = Record(path.relative_to(root).as_posix(), str(path), tuple(captions))
            yield from checked(record, str(path))
        stems = {Path(name).stem for name in images}
        for stem in sorted(texts.keys() - stems):
            path = folder / texts[stem]
            detail = f"{printable(str(path))}: no image of this stem beside it"
            name = printable(path.relative_to(root).as_posix())
            yield BadRecord(name, printable(str(path)), "missing-image", detail)


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders in order with their files in order; links are followed once.

    Hidden ones are left out, and lakes, whose files are no source's: one made beside the images
    would be read with them.
    """
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, onerror=_raise, followlinks=True):
        status = os.stat(folder)
        looped = (status.st_dev, status.st_ino) in seen  # by a link that leads back up
        if looped or MARKER in files:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        yield Path(folder), sorted(name for name in files if not name.startswith("."))


def _raise(error: OSError) -> None:
    raise error  # `os.walk` would leave out a folder that it may not read


def _captions(path: Path, encoding: str) -> tuple[list[str], list[BadRecord]]:
    """The captions in a text file, and its lines that cannot be used; blank lines mean nothing."""
    where = printable(str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        return [], [BadRecord(printable(path.name), where, "unreadable-caption", str(error))]
    return caption_lines(data, printable(path.name), where, encoding)


def caption_lines(
    data: bytes, name: str, where: str, encoding: str
) -> tuple[list[str], list[BadRecord]]:
    """One caption a line; a line in another encoding is put aside, the others are kept."""
    whole = decoded(data, encoding)
    if whole is None and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        parts = [(line, decoded(line, encoding)) for line in data.splitlines()]
    else:
        parts = [(data, whole)] if whole is None else [(b"", line) for line in whole.splitlines()]
    captions = [line for _, line in parts if line is not None and line.strip()]
    bad = [
        not_encoded(name, where, encoding, raw.decode("utf-8", "backslashreplace"))
        for raw, line in parts
        if line is None
    ]
    if not captions and not bad:
        bad.append(BadRecord(name, where, "empty-caption", f"{where}: no caption; the image stays"))
    return captions, bad
