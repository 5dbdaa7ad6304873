"""Small lakes to start from."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.config import IngestConfig
from pipeline.ingest import ingest
from pipeline.readers import ReaderOptions, open_source
from storage.lake import Lake


def captioned_lake(folder: Path, config: IngestConfig, images: int) -> Path:
    """A lake of pictures of noise, `folder`/images/0.png and so on, each with the same caption."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    with (folder / "captions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption"])
        for number in range(images):
            pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
            rows.writerow([f"{number}.png", "a dog on a chair"])
    Lake.create(folder / "lake").close()
    with Lake.open(folder / "lake") as lake:
        options = ReaderOptions(images=folder / "images")
        ingest(lake, open_source(folder / "captions.csv", "csv", options), config)
    return folder / "lake"
