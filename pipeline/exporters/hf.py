"""Hugging Face image folder: a folder per split with the images and their `metadata.jsonl`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from pipeline.exporters.base import ExportSummary, Samples, new_folder, place_image
from pipeline.stage import Progress
from storage.lake import Lake

METADATA = "metadata.jsonl"


def export_hf(lake: Lake, dest: Path, progress: Progress) -> ExportSummary:
    """Write what `datasets.load_dataset(DEST)` reads; images are hard links where possible."""
    samples = Samples(lake, ("train", "eval"), progress)
    with new_folder(dest) as folder, ExitStack() as stack:
        files: dict[str, TextIO] = {}
        for sample in samples:
            split = sample["split"]
            of_split = folder / split
            if split not in files:
                of_split.mkdir()
                opened = (of_split / METADATA).open("w", encoding="utf-8")
                files[split] = stack.enter_context(opened)
            row = {
                "file_name": place_image(sample, of_split),
                "captions": [caption["text"] for caption in sample["captions"]],
                "tags": [tag["name"] for tag in sample["tags"]],
            }
            files[split].write(json.dumps(row, ensure_ascii=False) + "\n")
    return samples.summary(dest)
