"""COCO json: images with boxes of the kept object tags, and captions, one file per split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from pipeline.exporters.base import ExportSummary, Samples, new_files, new_folder, write_list
from pipeline.stage import Progress
from storage.lake import Lake

SPLITS = ("train", "eval")

# A tag may have several regions in an image; the detector's surest one stands for it.
_BOXES = """
SELECT t.image_id, t.tag_id, r.x1, r.y1, r.x2, r.y2, r.score
FROM tags t
JOIN tag_ids f ON f.tag_id = t.tag_id
JOIN current_regions r
  ON r.image_id = t.image_id AND r.label_version = f.label_version AND r.tag_id = f.made_as
WHERE t.kind = 'object'
QUALIFY row_number() OVER (
    PARTITION BY t.image_id, t.tag_id ORDER BY r.score DESC, r.region_id
) = 1
ORDER BY t.image_id, t.tag_id
"""

_CATEGORIES = """
SELECT tag_id + 1 AS id, name, kind AS supercategory FROM current_labels
WHERE kind = 'object' ORDER BY tag_id
"""


def export_coco(lake: Lake, dest: Path, progress: Progress) -> ExportSummary:
    """Write DEST/train.json and DEST/eval.json; one file with both when DEST ends with .json."""
    samples = Samples(lake, SPLITS, progress)
    boxes, categories = lake.query(_BOXES), lake.query(_CATEGORIES)
    if dest.suffix == ".json":
        with new_files(dest) as (file,):
            _write(file, samples, SPLITS, boxes, categories)
        return samples.summary(dest)
    with new_folder(dest) as folder:
        for split in set(samples.table.column("split").to_pylist()):
            _write(folder / f"{split}.json", samples, (split,), boxes, categories)
    return samples.summary(dest)


def _write(
    path: Path, samples: Samples, splits: tuple[str, ...], boxes: pa.Table, categories: pa.Table
) -> None:
    columns = (samples.table.column(name).to_pylist() for name in ("image_id", "split"))
    wanted = [image for image, split in zip(*columns, strict=True) if split in splits]
    ids = {image: number for number, image in enumerate(wanted, 1)}
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": ' + json.dumps({"description": "image tags by Tagwright"}))
        _section(file, "categories", iter(categories.to_pylist()))
        _section(file, "images", (_image(s, ids) for s in samples if s["image_id"] in ids))
        _section(file, "annotations", _annotations(boxes, ids))
        _section(file, "captions", _captions(samples, ids))
        file.write("}\n")


def _section(file: TextIO, name: str, items: Iterator[dict[str, Any]]) -> None:
    file.write(f',\n"{name}": ')
    write_list(file, items)


def _image(sample: dict[str, Any], ids: dict[str, int]) -> dict[str, Any]:
    return {
        "id": ids[sample["image_id"]],
        "file_name": sample["name"],
        "width": sample["width"],
        "height": sample["height"],
        "split": sample["split"],
        "uri": sample["uri"],
        "sha256": sample["image_id"],
        "tags": [tag["name"] for tag in sample["tags"]],
    }


def _annotations(boxes: pa.Table, ids: dict[str, int]) -> Iterator[dict[str, Any]]:
    number = 0
    for batch in boxes.to_batches():
        for row in batch.to_pylist():
            if row["image_id"] not in ids:
                continue
            number += 1
            width, height = row["x2"] - row["x1"], row["y2"] - row["y1"]
            yield {
                "id": number,
                "image_id": ids[row["image_id"]],
                "category_id": row["tag_id"] + 1,  # tools take 0 for the background
                "bbox": [row["x1"], row["y1"], width, height],
                "area": width * height,
                "iscrowd": 0,
                "score": row["score"],
            }


def _captions(samples: Samples, ids: dict[str, int]) -> Iterator[dict[str, Any]]:
    number = 0
    for sample in samples:
        if sample["image_id"] not in ids:
            continue
        for caption in sample["captions"]:
            number += 1
            yield {
                "id": number,
                "image_id": ids[sample["image_id"]],
                "caption": caption["text"],
                "source": caption["source"],
            }
