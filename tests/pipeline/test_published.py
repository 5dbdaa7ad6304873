"""What a publication teaches, in retraining and in the next cycle's baseline."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from model.checkpoint import load_tagger
from pipeline.baseline import TrainBaseline, _source
from pipeline.config import Config
from pipeline.dataset import Images, Vocabulary, multi_hot
from pipeline.demo import demo_config
from pipeline.published import DOUBTED, PUBLISHED, targets_of
from pipeline.retrain import Retrain, training_set
from pipeline.runner import Runner
from pipeline.stage import Batch, Context
from storage.lake import Lake
from tests.lakes import commit, go_back


def test_tags_count_by_their_weight_and_doubted_pairs_not_at_all() -> None:
    images = Images(["a", "b"], np.zeros(2, np.int64), np.zeros((2, 1, 1), np.float16))
    words = ("dog", "cat", "bus")
    vocabulary = Vocabulary("v", (3, 5, 9), words, ("object",) * 3)
    tags = pa.table({"image_id": ["a", "b", "x"], "tag_id": [5, 3, 3], "weight": [0.75, 1.0, 1.0]})
    doubted = pa.table({"image_id": ["a", "b"], "tag_id": [9, 7]})
    unsettled = pa.table({"image_id": ["a", "b", "b"], "tag_id": [5, 5, 7]})
    targets, known = targets_of(images, vocabulary, tags, doubted, unsettled)
    assert targets.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert known.tolist() == [[1, 0.75, 0], [1, 0, 1]]


def test_the_next_cycle_learns_the_publication_that_was_gone_back_to(tmp_path: Path) -> None:
    with Lake.create(tmp_path / "lake") as lake:

        def learned(cycle: int) -> str | None:
            context = Context(lake.path, Config(), cycle, lake.query, lake.batches)
            return _source(Batch(("corpus",), {}), context)[2]

        for day, name in enumerate(("kept", "tried"), 1):
            row = {"publication_id": name, "cycle": 1, "snapshot_id": lake.snapshot_id}
            row["published_at"] = datetime(2026, 1, day)
            commit(lake, {"publications": [row]}, name, "publish")
        assert learned(2) == "tried"
        go_back(lake, "kept")
        assert learned(2) == "kept"
        later = row | {"publication_id": "later", "cycle": 2}
        commit(lake, {"publications": [later]}, "later", "publish")
        assert (learned(2), learned(3)) == ("kept", "later")


@pytest.fixture(scope="module")
def judged(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    """A lake in which two regions are enough for a tag to be judged, as 24 scenes need it."""
    path = Path(shutil.copytree(demo / "lake", tmp_path_factory.mktemp("judged") / "lake"))
    config = demo_config(24, 0)
    few = config.clean.model_copy(update={"min_regions": 2})
    config = config.model_copy(update={"clean": few})
    Runner(path, config).run(until="publish")
    return path, config


def test_a_published_tag_counts_as_much_as_it_is_likely_right(judged: tuple[Path, Config]) -> None:
    path, config = judged
    with Lake.open(path, read_only=True) as lake:
        published = lake.query(PUBLISHED)
        scores = lake.query(
            "SELECT image_id, tag_id, score FROM current_verdicts "
            "WHERE rule = 'agreement' AND verdict = 'keep' AND NOT isnan(score)"
        ).to_pylist()
        stage = Retrain(config, 1)
        inputs = {name: lake.query(sql) for name, sql in stage.inputs.items()}
    of_pair = {(row["image_id"], row["tag_id"]): row["weight"] for row in published.to_pylist()}
    judged = {(row["image_id"], row["tag_id"]): row["score"] for row in scores}
    assert any(score > 0.05 for score in judged.values())
    for pair, weight in of_pair.items():
        assert weight == pytest.approx(1 - judged.get(pair, 0.0))
    nothing = published.slice(0, 0).select(["image_id", "tag_id"])
    data = training_set(Batch(("corpus",), inputs), published, nothing, stage)
    rows, columns = np.nonzero(data.targets)
    for row, column in zip(rows, columns, strict=True):
        pair = data.images.ids[row], data.vocabulary.tag_ids[column]
        assert data.known[row, column] == pytest.approx(of_pair[pair], abs=1e-6)
    unsettled = multi_hot(data.images, data.vocabulary, inputs["unsettled"])
    absent = data.targets == 0
    assert np.array_equal(data.known[absent], 1 - unsettled[absent])


@pytest.mark.slow
def test_the_next_cycle_begins_with_what_was_published(judged: tuple[Path, Config]) -> None:
    path, config = judged
    with Lake.open(path, read_only=True) as lake:
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
    model, _ = load_tagger(path / row["path"])
    same = replace(data, threads=config.baseline.threads)
    expected = same.train(config.baseline.tagger, context, "again")
    assert np.array_equal(model.score(data.images.features), expected.score(data.images.features))
