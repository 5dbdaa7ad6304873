"""What all exporters share: the samples of a lake, and a destination that is whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow.compute as pc

from pipeline.errors import PipelineError
from pipeline.readers import read_uri
from pipeline.stage import Progress
from storage.lake import Lake, no_space_is_clear

_BATCH = 1000
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}

# One row per image with all that a sample needs, so that memory holds a batch and not the lake.
# A caption's tags are those that its own words give and that cleaning has not dropped.
_SAMPLES = """
WITH lines AS (
    SELECT tag_id, row_number() OVER (ORDER BY tag_id) - 1 AS line FROM current_labels
), own AS (
    SELECT DISTINCT e.caption_id, e.tag_id
    FROM tag_evidence e JOIN tags t ON t.image_id = e.image_id AND t.tag_id = e.tag_id
    WHERE e.caption_id IS NOT NULL
), own_lines AS (
    SELECT caption_id, list(line ORDER BY line) AS lines
    FROM own JOIN lines USING (tag_id) GROUP BY caption_id
), of_captions AS (
    SELECT c.image_id, list(
        {'text': c.text, 'source': c.source, 'lines': coalesce(o.lines, [])}
        ORDER BY c.source <> 'original', c.text, c.caption_id
    ) AS captions
    FROM current_captions c LEFT JOIN own_lines o USING (caption_id) GROUP BY c.image_id
), of_tags AS (
    SELECT t.image_id, list(
        {'tag_id': t.tag_id, 'line': n.line, 'name': t.name, 'kind': t.kind} ORDER BY t.tag_id
    ) AS tags
    FROM tags t JOIN lines n USING (tag_id) GROUP BY t.image_id
)
SELECT i.image_id, i.uri, i.name, i.width, i.height, i.format, i.split,
       coalesce(c.captions, []) AS captions, coalesce(t.tags, []) AS tags
FROM current_images i
LEFT JOIN of_captions c ON c.image_id = i.image_id
LEFT JOIN of_tags t ON t.image_id = i.image_id
WHERE list_contains($splits, i.split)
ORDER BY i.image_id
"""


class ExportError(PipelineError):
    """Nothing can be exported, or not there."""


@dataclass(frozen=True)
class ExportSummary:
    """What an export wrote."""

    dest: Path
    images: int
    captions: int
    tags: int

    def __str__(self) -> str:
        return (
            f"wrote {self.dest}: {self.images} images, {self.captions} captions, {self.tags} tags"
        )


Exporter = Callable[[Lake, Path, Progress], ExportSummary]


class Samples:
    """The images of some splits in order, one dict each; may be gone through several times.

    A dict holds the image's columns and the lists `captions` (text, source, lines) and `tags`
    (tag_id, line, name, kind); a line is the tag's place, from 0, in the list of labels by tag ID.

    Raises:
        ExportError: the lake has no such images, or no label system yet.
    """

    def __init__(self, lake: Lake, splits: tuple[str, ...], progress: Progress) -> None:
        if not lake.scalar("SELECT count(*) FROM current_labels"):
            raise ExportError(f"{lake.path}: no tags to export yet; run `tagwright run` first")
        self.table = lake.query(_SAMPLES, {"splits": list(splits)})
        self._progress = progress
        if not self.table.num_rows:
            raise ExportError(
                f"{lake.path}: no images of split {' or '.join(splits)}; ingest some first"
            )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        done = 0
        for batch in self.table.to_batches(max_chunksize=_BATCH):
            yield from batch.to_pylist()
            done += len(batch)
            self._progress(done, self.table.num_rows, "images")

    def summary(self, dest: Path) -> ExportSummary:
        """All of it, as written to `dest`."""
        counts = [
            pc.sum(pc.list_value_length(self.table.column(name))).as_py()
            for name in ("captions", "tags")
        ]
        return ExportSummary(dest, self.table.num_rows, *counts)


def tag_names(lake: Lake) -> list[str]:
    """All tags by tag ID; the place of each is its line."""
    names: list[str] = lake.query("SELECT name FROM current_labels ORDER BY tag_id")[0].to_pylist()
    return names


# ---- images --------------------------------------------------------------------------------------


def image_bytes(sample: dict[str, Any]) -> bytes:
    """The image as it was ingested.

    Raises:
        ExportError: it is gone or another one is in its place.
    """
    uri = sample["uri"]
    try:
        data = read_uri(uri)
    except (OSError, PipelineError) as error:
        raise ExportError(f"{uri}: image cannot be read ({error}); restore it") from error
    if hashlib.sha256(data).hexdigest() != sample["image_id"]:
        raise ExportError(f"{uri}: the file changed since it was ingested; restore it")
    return data


def image_name(sample: dict[str, Any]) -> str:
    """A file name that no other image has and that says the format."""
    image_id, kind = str(sample["image_id"]), str(sample["format"])
    return image_id + _SUFFIXES.get(kind, f".{kind.lower()}")


def place_image(sample: dict[str, Any], folder: Path) -> str:
    """Put an image into a folder, linked where the file system can, and return its name there."""
    name, data = image_name(sample), image_bytes(sample)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    try:
        os.link(os.path.realpath(sample["uri"]), target)
    except OSError:  # inside a tar, on another disk, or a file system without links
        target.write_bytes(data)
    return name


# ---- destinations --------------------------------------------------------------------------------


@contextmanager
def new_folder(dest: Path) -> Iterator[Path]:
    """A folder to fill that gets its name only when the block ends well.

    Raises:
        ExportError: there is something at `dest` already, or it is the working directory.
    """
    dest = _free(dest, empty=True)
    partial = _partial(dest)
    try:
        with no_space_is_clear(dest):
            shutil.rmtree(partial, ignore_errors=True)  # left by an export that was killed
            partial.mkdir(parents=True)
            yield partial
            if dest.is_dir():
                dest.rmdir()  # only an empty one comes this far
            partial.rename(dest)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def new_files(*wanted: Path) -> Iterator[list[Path]]:
    """Like `new_folder` for files beside each other; the first is renamed last."""
    dests = [_free(dest, empty=False) for dest in wanted]
    partials = [_partial(dest) for dest in dests]
    try:
        with no_space_is_clear(dests[0]):
            dests[0].parent.mkdir(parents=True, exist_ok=True)
            yield partials
            for partial, dest in reversed(list(zip(partials, dests, strict=True))):
                partial.rename(dest)
    finally:
        for partial in partials:
            partial.unlink(missing_ok=True)


def _partial(dest: Path) -> Path:
    return dest.with_name(f".{dest.name}.partial")


def _free(dest: Path, *, empty: bool) -> Path:
    """The whole path of a place where nothing is yet, or an `empty` folder."""
    # An empty one is replaced, which would take this one from under the caller's feet.
    if dest.resolve() == Path.cwd():
        raise ExportError(f"{dest}: is the folder that you are in; name a new one")
    replaced = empty and dest.is_dir() and not any(dest.iterdir())
    if not replaced and (dest.exists() or dest.is_symlink()):
        raise ExportError(f"{dest}: exists already; name a new place or remove it")
    return dest.resolve()


def write_list(file: TextIO, items: Iterable[Any]) -> None:
    """A JSON list with one item a line, written as the items come."""
    before = "[\n"
    for item in items:
        file.write(before + json.dumps(item, ensure_ascii=False))
        before = ",\n"
    file.write("[]" if before == "[\n" else "\n]")
