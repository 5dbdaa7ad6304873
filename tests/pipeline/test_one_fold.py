"""A corpus whose images share one fold: no model judges them, they keep what captions say."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipeline.config import Config, load_config
from pipeline.generate import Generate
from pipeline.ground import Ground
from pipeline.ingest import ingest
from pipeline.readers import ReaderOptions, open_source
from pipeline.runner import Runner
from pipeline.stage import Batch, Context, Counts
from pipeline.taggers import lake_tagger
from storage.lake import Lake

UNJUDGED = ["a", "b", "c"]
FEATURES = pa.table({
    "image_id": UNJUDGED, "fold_key": [0, 3, 6], "positions": [1] * 3, "channels": [1] * 3,
    "map": [np.zeros(1, np.float16).tobytes()] * 3, "width": [8] * 3, "height": [8] * 3,
    "uri": UNJUDGED, "name": UNJUDGED,
})  # fmt: skip
CONTEXT = Context(Path(), Config(), 1, lambda *_: pa.table({}), lambda *_: iter(()))


def test_images_without_a_judge_get_no_scores_and_are_counted() -> None:
    stage = Generate(Config(), 1)
    stage.taggers, stage.captioners = {}, {}
    said = pa.table({"image_id": UNJUDGED, "tag_id": [1, 1, 2]})
    result = stage.run(Batch(("s",), {"features": FEATURES, "caption_tags": said}), CONTEXT)
    assert result.counts == {"s": Counts(3, 0, dropped=3)}
    assert not result.rows["captions"].num_rows


def test_tags_of_images_without_a_judge_stay_and_say_why() -> None:
    stage = Ground(Config(), 1)
    stage.taggers, stage.asked, stage.least = {}, {}, None
    tables = {
        "features": FEATURES,
        "candidates": pa.table({"image_id": UNJUDGED, "tag_id": pa.array([1, 1, 2], pa.int32())}),
        "labels": pa.table({"label_version": ["v"]}),
    }
    result = stage.run(Batch(("s",), tables), CONTEXT)
    assert result.counts == {"s": Counts(3, 3)}
    verdicts = result.rows["verdicts"].to_pylist()
    assert {row["verdict"] for row in verdicts} == {"keep"}
    assert all("no model that has not seen the image" in row["reason"] for row in verdicts)


def settings() -> Config:
    quick = [
        f"{section}.{one}"
        for section in ("baseline.tagger", "refine.tagger")
        for one in ("encoder_epochs=0", "readout_epochs=1", "epochs=0")
    ]
    own = ["ingest.eval_share=0", "label.min_mentions=1", "refine.captioner.epochs=1"]
    return load_config(None, [*quick, *own])


@pytest.mark.slow
def test_plain_pictures_go_through_the_cycle(tmp_path: Path) -> None:
    """Of one colour each, all have the same perceptual hash."""
    with (tmp_path / "captions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption"])
        for number in range(8):
            Image.new("RGB", (20, 20), (30 * number, 9, 9)).save(tmp_path / f"{number}.png")
            rows.writerow([f"{number}.png", "a dog on a chair"])
    Lake.create(tmp_path / "lake").close()
    with Lake.open(tmp_path / "lake") as lake:
        source = open_source(tmp_path / "captions.csv", "csv", ReaderOptions())
        ingest(lake, source, settings().ingest)
    Runner(tmp_path / "lake", settings()).run(until="publish")
    with Lake.open(tmp_path / "lake", read_only=True) as lake:
        assert lake.scalar("SELECT count(DISTINCT fold_key % 3) FROM current_images") == 1
        assert lake.scalar("SELECT count(*) FROM tags") == 16
        assert lake.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0") == 0
        assert lake.scalar("SELECT count(*) FROM current_publications") == 1
    # Nothing was calibrated, so its scores only rank.
    assert lake_tagger(tmp_path / "lake", "baseline").thresholds is None
