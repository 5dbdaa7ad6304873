"""What a publication teaches, in retraining and in the next cycle's baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from model.checkpoint import load_tagger
from pipeline.baseline import TrainBaseline
from pipeline.dataset import Images, Vocabulary
from pipeline.demo import demo_config
from pipeline.published import DOUBTED, PUBLISHED, targets_of
from pipeline.retrain import Retrain, training_set
from pipeline.runner import Runner
from pipeline.stage import Batch, Context
from storage.lake import Lake


def test_tags_count_by_their_weight_and_doubted_pairs_not_at_all() -> None:
    images = Images(["a", "b"], np.zeros(2, np.int64), np.zeros((2, 1, 1), np.float16))
    words = ("dog", "cat", "bus")
    vocabulary = Vocabulary("v", (3, 5, 9), words, ("object",) * 3)
    tags = pa.table({"image_id": ["a", "b", "x"], "tag_id": [5, 3, 3], "weight": [0.75, 1.0, 1.0]})
    doubted = pa.table({"image_id": ["a", "b"], "tag_id": [9, 7]})
    targets, known = targets_of(images, vocabulary, tags, doubted)
    assert targets.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert known.tolist() == [[1, 0.75, 0], [1, 1, 1]]


@pytest.mark.slow
def test_the_next_cycle_begins_with_what_was_published(demo_copy: Path) -> None:
    config = demo_config(24, 0)
    few = config.clean.model_copy(update={"min_regions": 2})  # so that 24 scenes are judged at all
    config = config.model_copy(update={"clean": few})
    Runner(demo_copy / "lake", config).run(until="publish")
    with Lake.open(demo_copy / "lake", read_only=True) as lake:
        stage, retrain = TrainBaseline(config, 2), Retrain(config, 2)
        context = Context(lake.path, config, 2, lake.query, lake.batches)
        batches = [
            Batch(("corpus",), {name: lake.query(sql) for name, sql in inputs.items()})
            for inputs in (stage.inputs, retrain.inputs)
        ]
        (row,) = stage.run(batches[0], context).rows["models"].to_pylist()
        tags, doubted = lake.query(PUBLISHED), lake.query(DOUBTED)
        data = training_set(batches[1], tags, doubted, retrain)
    assert min(tags.column("weight").to_pylist()) < 0.95 and doubted.num_rows
    # The same tags, weights and doubts that retraining has, on as many threads.
    model, _ = load_tagger(demo_copy / "lake" / row["path"])
    same = replace(data, threads=config.baseline.threads)
    expected = same.train(config.baseline.tagger, context, "again")
    assert np.array_equal(model.score(data.images.features), expected.score(data.images.features))
