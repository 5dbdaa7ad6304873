"""Small lakes to start from."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from model.config import TrainConfig
from pipeline.config import Config, IngestConfig
from pipeline.ingest import ingest
from pipeline.readers import ReaderOptions, open_source
from storage.lake import Lake
from storage.schemas import TABLES


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


def brief(config: Config) -> Config:
    """The same cycle with the shortest trainings, where their results are not the subject.

    Taggers keep the encoder's published blocks: training these is most of a small cycle.
    """

    def still(recipe: TrainConfig) -> TrainConfig:
        return recipe.model_copy(update={"encoder_epochs": 0})

    captioner = config.refine.captioner.model_copy(update={"max_steps": 1})
    shorter = {
        "baseline": {"tagger": still(config.baseline.tagger)},
        "refine": {"tagger": still(config.refine.tagger), "captioner": captioner},
        "retrain": {
            "tagger": still(config.retrain.tagger), "finetune": still(config.retrain.finetune),
        },
    }  # fmt: skip
    return config.model_copy(
        update={name: getattr(config, name).model_copy(update=new) for name, new in shorter.items()}
    )


def commit(
    lake: Lake,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    work: str,
    stage: str | None = None,
    fingerprint: str = "f",
) -> None:
    """Put rows into the lake as the newest work of a stage, by default one of the work's name.

    Columns not named stay empty.
    """
    files = {}
    for table, given in rows.items():
        schema = TABLES[table].schema
        filled = [{"shard_id": "s", "work_id": work} | row for row in given]
        columns = {name: [row.get(name) for row in filled] for name in schema.names}
        files[table] = [lake.stage_file(table, work, pa.table(columns, schema=schema))]
    ledger = {
        "work_id": work, "stage": stage or work, "unit": "corpus", "unit_digest": "u",
        "fingerprint": fingerprint, "artifact": None, "n_in": 1, "n_kept": 1, "n_dropped": 0,
        "n_rejected": 0, "run_id": "r", "seconds": 0.1,
    }  # fmt: skip
    assert lake.commit(files, [ledger], work)


def go_back(lake: Lake, work: str) -> None:
    """Make an older work current again, as a run does whose settings fit it once more."""
    rows = lake.query("SELECT * FROM ledger WHERE work_id = $work LIMIT 1", {"work": work})
    assert lake.commit({}, rows.to_pylist(), "going back")
