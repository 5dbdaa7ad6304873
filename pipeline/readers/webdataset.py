"""WebDataset: tar shards whose neighbours with the same key form a sample; nothing is extracted.

An image stays in its shard and is addressed by offset and length, so shards must be uncompressed.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from pipeline.errors import SourceError
from pipeline.readers.base import (
    IMAGE_SUFFIXES,
    BadRecord,
    Item,
    ReaderOptions,
    Record,
    checked,
    decoded,
    excerpt,
    not_encoded,
    printable,
)
from pipeline.readers.folder import caption_lines
from pipeline.readers.parquet import files_with

_COMPRESSED = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
}


class _Member(NamedTuple):
    name: str
    offset: int
    length: int
    plain: bool  # False for links and sparse files, whose bytes do not lie at the offset

    @property
    def key(self) -> str:
        """The path up to the first dot of its last part: what a sample's members share."""
        folder, _, last = self.name.rpartition("/")
        return f"{folder}/{last.split('.')[0] or last}"

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix.lower()


def read_webdataset(source: Path, options: ReaderOptions) -> Iterator[Item]:
    """All samples of a shard, or of the shards in a folder in the order of their names."""
    shards = files_with(source, ".tar") if source.is_dir() else [source]
    return (item for shard in shards for item in _read(shard.absolute(), options))


def _read(shard: Path, options: ReaderOptions) -> Iterator[Item]:
    with shard.open("rb") as file:
        _refuse_compressed(shard, file.read(8))
        file.seek(0)
        for _, members in groupby(_members(shard, file), key=lambda member: member.key):
            with shard.open("rb") as data:
                yield from _sample(shard, data, list(members), options)


def _refuse_compressed(shard: Path, head: bytes) -> None:
    for magic, command in _COMPRESSED.items():
        if head.startswith(magic):
            raise SourceError(
                f"{shard}: compressed, so its images cannot be addressed; decompress it first: "
                f"{command} {shard.name}"
            )


def _members(shard: Path, file: BinaryIO) -> Iterator[_Member]:
    """The shard's files; raises SourceError where it is no tar or breaks off."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            while (found := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep them all
                if not found.isdir():
                    plain = found.isreg() and not found.issparse()
                    yield _Member(found.name, found.offset_data, found.size, plain)
            # tarfile stops silently at a damaged header or a missing end; a whole tar has zeros.
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise tarfile.ReadError(f"no end of archive at byte {archive.offset}")
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise SourceError(
            f"{shard}: damaged or truncated tar: {error}; get the file again"
        ) from error


def _sample(
    shard: Path, data: BinaryIO, members: list[_Member], options: ReaderOptions
) -> Iterator[Item]:
    captions: list[str] = []
    images: list[_Member] = []
    for member in members:
        where = printable(f"{shard}#{member.offset},{member.length}")
        if not member.plain:
            detail = f"{printable(member.name)}: a link or sparse file in {shard}; store it whole"
            yield BadRecord(printable(member.name), where, "not-a-plain-file", detail)
        elif member.suffix in IMAGE_SUFFIXES:
            images.append(member)
        elif member.suffix in (".txt", ".json"):
            data.seek(member.offset)
            found, bad = _captions(member, data.read(member.length), where, options.encoding)
            captions += found
            yield from bad
    for member in images:
        uri = f"{shard}#{member.offset},{member.length}"
        # img2dataset writes the same caption into .txt and .json.
        yield from checked(Record(member.name, uri, tuple(dict.fromkeys(captions))), uri)
    if not images and all(member.plain for member in members):
        name = printable(members[0].name)
        held = ", ".join(printable(member.name) for member in members)
        detail = f"{shard}: sample without an image, only {excerpt(held)}"
        yield BadRecord(name, str(shard), "missing-image", detail)


def _captions(
    member: _Member, content: bytes, where: str, encoding: str
) -> tuple[list[str], Iterable[BadRecord]]:
    name = printable(member.name)
    if member.suffix == ".txt":
        return caption_lines(content, name, where, encoding)
    text = decoded(content, encoding)
    if text is None:
        shown = content.decode("utf-8", "backslashreplace")
        return [], [not_encoded(name, where, encoding, shown)]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        detail = f"{name} in {where}: damaged JSON: {error}"
        return [], [BadRecord(name, where, "bad-json", detail)]
    caption = found.get("caption") if isinstance(found, dict) else None
    said = caption if isinstance(caption, list) else [] if caption is None else [caption]
    bad = [
        BadRecord(
            name, where, "caption-not-text",
            f"{name} in {where}: the caption is {excerpt(json.dumps(one))}, not a text",
        )
        for one in said
        if not isinstance(one, str)
    ]  # fmt: skip
    return [one for one in said if isinstance(one, str)], bad
