"""RAM's own training annotations: captions and label numbers of each image, and the tag list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.exporters.base import (
    ExportError,
    ExportSummary,
    Samples,
    new_files,
    new_folder,
    place_image,
    tag_names,
    write_list,
)
from pipeline.stage import Progress
from storage.lake import Lake

ANNOTATIONS, TAG_LIST, IMAGES = "annotations.json", "tag_list.txt", "images"


def export_ram_json(lake: Lake, dest: Path, progress: Progress) -> ExportSummary:
    """Write the training split to DEST/annotations.json and DEST/tag_list.txt.

    When DEST ends with .json, the annotations get that name and the tag list lies beside it. A
    label number is a line of the tag list, from 0. RAM opens `image_path` itself, so images that
    lie inside a tar are copied to DEST/images.
    """
    samples = Samples(lake, ("train",), progress)
    dest = dest.absolute()
    if dest.suffix == ".json":
        beside = dest.with_name(TAG_LIST)
        if beside.exists() and not dest.exists():
            raise ExportError(
                f"{dest}: goes with a {TAG_LIST} beside it, and there is one already, such as of "
                "another export; name a place in another folder"
            )
        with new_files(dest, beside) as (annotations, tag_list):
            _write(annotations, tag_list, _items(samples, None, dest), lake)
    else:
        with new_folder(dest) as folder:
            items = _items(samples, folder, dest)
            _write(folder / ANNOTATIONS, folder / TAG_LIST, items, lake)
    return samples.summary(dest)


def _write(
    annotations: Path, tag_list: Path, items: Iterator[dict[str, Any]], lake: Lake
) -> None:  # fmt: skip
    tag_list.write_text("".join(f"{name}\n" for name in tag_names(lake)), encoding="utf-8")
    with annotations.open("w", encoding="utf-8") as file:
        write_list(file, items)


def _items(samples: Samples, folder: Path | None, dest: Path) -> Iterator[dict[str, Any]]:
    for sample in samples:
        captions = sample["captions"]
        yield {
            "image_path": _path(sample, folder, dest),
            "caption": [caption["text"] for caption in captions],
            "union_label_id": [tag["line"] for tag in sample["tags"]],
            "parse_label_id": [caption["lines"] for caption in captions],
        }


def _path(sample: dict[str, Any], folder: Path | None, dest: Path) -> str:
    uri: str = sample["uri"]
    if "#" not in uri or Path(uri).exists():
        return uri
    if folder is None:
        raise ExportError(
            f"{uri}: inside a tar, where RAM cannot open it; export to a folder instead of "
            f"{dest.name}, which then gets the images as well"
        )
    return str(dest / IMAGES / place_image(sample, folder / IMAGES))
