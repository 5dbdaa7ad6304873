"""COCO json: `images` and `annotations`; without captions (instances files) the images alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import SourceError
from pipeline.readers.base import BadRecord, Item, ReaderOptions, Record, checked, excerpt, is_utf8


def read_coco(source: Path, options: ReaderOptions) -> Iterator[Item]:
    """Images in the file's order, each with all its captions."""
    content = _load(source, options.encoding)
    images, annotations = _parts(content, source)
    known = {_key(image.get("id")) for image in images if isinstance(image, dict)}
    captions: dict[str, list[str]] = {}
    for position, annotation in enumerate(annotations):
        where = f"{source.absolute()}#annotations/{position}"
        if bad := _bad_annotation(annotation, known, where):
            yield bad
        elif "caption" in annotation:
            captions.setdefault(_key(annotation["image_id"]), []).append(annotation["caption"])
    del annotations
    content.clear()  # the captions are gathered; the rest of the file need not stay in memory
    for position, image in enumerate(images):
        where = f"{source.absolute()}#images/{position}"
        name = image.get("file_name") if isinstance(image, dict) else None
        if not isinstance(name, str):
            detail = f"{where}: no file_name in {excerpt(json.dumps(image))}"
            yield BadRecord(f"images/{position}", where, "no-image-name", detail)
            continue
        texts = tuple(captions.pop(_key(image.get("id")), ()))
        yield from checked(Record(name, options.locate(name, source.parent), texts), where)


def _load(source: Path, encoding: str) -> Any:
    data = source.read_bytes()
    try:
        # `json` itself tells UTF-8, -16 and -32 apart, with or without a byte order mark.
        return json.loads(data if is_utf8(encoding) else data.decode(encoding))
    except UnicodeDecodeError as error:
        raise SourceError(f"{source}: not in {encoding}: {error}; name its --encoding") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise SourceError(f"{source}: damaged JSON: {error}; get the file again") from None


def _parts(content: Any, source: Path) -> tuple[list[Any], list[Any]]:
    images = content.get("images") if isinstance(content, dict) else None
    annotations = content.get("annotations", []) if isinstance(content, dict) else None
    if not isinstance(images, list) or not isinstance(annotations, list):
        is_object = isinstance(content, dict)
        found = ", ".join(content) if is_object else f"a {type(content).__name__}"
        raise SourceError(
            f"{source}: not COCO: needs an object with the lists 'images' and 'annotations', "
            f"found: {excerpt(found)}"
        )
    return images, annotations


def _bad_annotation(annotation: Any, known: set[str], where: str) -> BadRecord | None:
    name = where.rsplit("#", 1)[1]
    if not isinstance(annotation, dict) or "image_id" not in annotation:
        detail = f"{where}: no image_id in {excerpt(json.dumps(annotation))}"
        return BadRecord(name, where, "no-image-id", detail)
    if _key(annotation["image_id"]) not in known:
        detail = f"{where}: image_id {annotation['image_id']!r} is not in 'images'"
        return BadRecord(name, where, "unknown-image", detail)
    if not isinstance(annotation.get("caption", ""), str):
        detail = f"{where}: the caption is {excerpt(json.dumps(annotation['caption']))}, not a text"
        return BadRecord(name, where, "caption-not-text", detail)
    return None


def _key(image_id: Any) -> str:
    """Ids are numbers in some files and texts in others, sometimes both in one."""
    return str(image_id)
