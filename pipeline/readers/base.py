"""What every reader gives: records with an image and its captions, or rows that cannot be used."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import SourceError

IMAGE_COLUMNS = (
    "image", "image_path", "file", "filename", "file_name", "filepath", "path", "img",
)  # fmt: skip
CAPTION_COLUMNS = ("caption", "text", "title", "sentence", "captions")
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
)  # fmt: skip
_SPLITS = {"train": "train", "training": "train"} | dict.fromkeys(
    ("eval", "evaluation", "val", "valid", "validation", "dev", "test"), "eval"
)
_MEMBER = re.compile(r"(?P<file>.+)#(?P<offset>\d+),(?P<length>\d+)", re.DOTALL)
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """One image with its captions.

    `image` is a uri, or the bytes themselves where the source embeds them and no uri can say where.
    """

    name: str  # what the source calls the image
    image: str | bytes
    captions: tuple[str, ...]
    split: str | None = None  # train, eval, or what the source says and nobody knows


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A row that cannot be used; everything else of the source goes on."""

    name: str
    uri: str
    reason: str  # a short slug that `GROUP BY reason` can count
    detail: str


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """What a user may say about a source besides its path."""

    images: Path | None = None
    encoding: str = "utf-8"

    def locate(self, name: str, folder: Path) -> str:
        """The uri of an image: from --images when given, else from the source's own folder."""
        return str((self.images or folder).absolute() / name)


Item = Record | BadRecord
Reader = Callable[[Path, ReaderOptions], Iterator[Item]]


class UnreadableUri(SourceError):
    """A uri that cannot be an image's, or no longer holds one."""


def read_uri(uri: str) -> bytes:
    """The bytes at a path, or at `PATH#offset,length` inside an uncompressed tar.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableUri: no path can look like this, or the tar ends before the member does.
    """
    try:
        if member := _MEMBER.fullmatch(uri):
            try:
                return _read_member(uri, member)
            except (FileNotFoundError, NotADirectoryError):
                pass  # perhaps a plain file whose name only looks like a member's
        return Path(uri).read_bytes()
    except NotADirectoryError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), uri) from None
    except (ValueError, OverflowError) as error:
        raise UnreadableUri(f"{printable(uri)}: not a usable path: {error}") from None


def _read_member(uri: str, member: re.Match[str]) -> bytes:
    length = int(member["length"])
    with Path(member["file"]).open("rb") as file:
        file.seek(int(member["offset"]))
        data = file.read(length)
    if len(data) < length:
        raise UnreadableUri(f"{uri}: the tar is shorter than when it was ingested; restore it")
    return data


def checked(record: Record, where: str) -> Iterator[Item]:
    """The record with its captions trimmed, and what of it cannot be used.

    Args:
        where: file and place of the row, for whoever looks it up.
    """
    if reason := _bad_name(record):
        yield BadRecord(printable(record.name) or where, where, *reason)
        return
    trimmed = [caption.strip() for caption in record.captions]
    for caption in trimmed:
        if not caption:
            yield BadRecord(
                record.name, where, "empty-caption", f"{where}: empty caption; its image stays"
            )
    yield replace(record, captions=tuple(caption for caption in trimmed if caption))


def _bad_name(record: Record) -> tuple[str, str] | None:
    name = record.name
    if not name:
        return "no-image-name", "the row names no image; fill the image column"
    if "\0" in name:
        return "nul-byte", "the image's name has a NUL byte; repair the row"
    if isinstance(record.image, str) and _REMOTE.match(name):
        return "remote-image", f"{excerpt(name)}: not a local file; download the images first"
    if printable(name) != name:
        return "bad-image-name", f"{printable(name)}: the name is not in UTF-8; rename the file"
    return None


def merged(items: Iterable[Item]) -> Iterator[Item]:
    """Neighbours that name the same file become one record; unusable rows pass at once."""
    held: Record | None = None
    captions: list[str] = []
    for item in items:
        if isinstance(item, BadRecord):
            yield item
            continue
        same = held and isinstance(item.image, str) and item.image == held.image
        if held and not (same and item.split == held.split):
            yield replace(held, captions=tuple(captions))
            held = None
        if held is None:
            held, captions = item, []
        captions.extend(item.captions)
    if held:
        yield replace(held, captions=tuple(captions))


def decoded(data: bytes, encoding: str) -> str | None:
    """The text, or None when the bytes are not in that encoding."""
    try:
        return data.decode("utf-8-sig" if is_utf8(encoding) else encoding)
    except UnicodeDecodeError:
        return None


def not_encoded(name: str, where: str, encoding: str, text: str) -> BadRecord:
    """A row whose bytes are not in the encoding; `text` shows it."""
    encoding = "utf-8" if is_utf8(encoding) else encoding.lower()
    other = "latin-1" if encoding == "utf-8" else "utf-8"
    detail = f"{where}: not in {encoding}: {excerpt(text)}; try --encoding {other}"
    return BadRecord(printable(name) or where, where, f"not-{encoding}", detail)


def is_utf8(encoding: str) -> bool:
    """Whether the name means UTF-8, however it is spelt."""
    return encoding.lower().replace("_", "-") in {"utf-8", "utf8", "utf-8-sig"}


def split_of_folder(name: str) -> str | None:
    """The lake's split for a folder called train, validation, test and the like."""
    return _SPLITS.get(name.strip().lower())


def split_of(text: str) -> str | None:
    """The same for what a row says; a word that nobody knows stays as it is, for ingest to tell."""
    return split_of_folder(text) or printable(text.strip()) or None


def pick(found: Sequence[str], accepted: Sequence[str]) -> str | None:
    """The column that bears one of the accepted names; the first of those counts."""
    by_name = {name.strip().lower(): name for name in reversed(found)}
    return next((by_name[name] for name in accepted if name in by_name), None)


def pick_needed(found: Sequence[str], what: str, accepted: Sequence[str], source: Path) -> str:
    """Like `pick`; raises SourceError, with the names found and accepted, when there is none."""
    name = pick(found, accepted)
    if name is None:
        raise SourceError(
            f"{source}: no {what} column; found: {excerpt(', '.join(found), 200)}; "
            f"the header must name it any of: {', '.join(accepted)}"
        )
    return name


def printable(text: str) -> str:
    """The text with whatever UTF-8 cannot hold written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def excerpt(text: str, length: int = 60) -> str:
    """The text's beginning on one line."""
    line = " ".join(printable(text[: length * 2]).split())
    return line if len(line) <= length else line[: length - 1] + "…"
