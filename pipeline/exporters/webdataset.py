"""WebDataset: plain tar shards per split with each image, its captions (.txt) and tags (.json)."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pipeline.exporters.base import ExportSummary, Samples, image_bytes, image_name, new_folder
from pipeline.stage import Progress
from storage.lake import Lake

SHARD_SIZE = 1000


def export_webdataset(lake: Lake, dest: Path, progress: Progress) -> ExportSummary:
    """Write DEST/train-000000.tar and so on, at most SHARD_SIZE samples each."""
    samples = Samples(lake, ("train", "eval"), progress)
    with new_folder(dest) as folder, ExitStack() as stack:
        written = {"train": 0, "eval": 0}
        shards: dict[str, tarfile.TarFile] = {}
        for sample in samples:
            split = sample["split"]
            number, place = divmod(written[split], SHARD_SIZE)
            if place == 0:
                if split in shards:
                    shards[split].close()
                path = folder / f"{split}-{number:06d}.tar"
                shards[split] = stack.enter_context(tarfile.open(path, "w"))
            written[split] += 1
            _add(shards[split], sample)
    return samples.summary(dest)


def _add(shard: tarfile.TarFile, sample: dict[str, Any]) -> None:
    key = sample["image_id"]
    captions = [" ".join(caption["text"].split()) for caption in sample["captions"]]
    facts = {
        "image_id": key,
        "name": sample["name"],
        "split": sample["split"],
        "tags": [tag["name"] for tag in sample["tags"]],
        "tag_ids": [tag["tag_id"] for tag in sample["tags"]],
        "kinds": [tag["kind"] for tag in sample["tags"]],
        "caption_sources": [caption["source"] for caption in sample["captions"]],
    }
    members = {
        image_name(sample): image_bytes(sample),
        f"{key}.txt": "\n".join(captions).encode(),
        f"{key}.json": json.dumps(facts, ensure_ascii=False).encode(),
    }
    for name, data in members.items():
        member = tarfile.TarInfo(name)  # owner and time stay 0: the same rows give the same shard
        member.size = len(data)
        shard.addfile(member, io.BytesIO(data))
