"""What cleaning is worth to the tagger: one trained on the tags as generated, before cleaning.

It is trained and scored as the retrained one is, but that all tags count alike and nothing is in
doubt, which cleaning tells; then it is forgotten: no stage reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from model.metrics import evaluate_scores
from pipeline.columns import Floats
from pipeline.config import Config
from pipeline.dataset import images_of, multi_hot, vocabulary_of
from pipeline.evaluate import Evaluate
from pipeline.reporting import Reporter
from pipeline.retrain import Retrain, training_set
from pipeline.stage import Batch, Context
from pipeline.work import worker_pool, worker_reporter
from storage.lake import Lake

_CANDIDATES = "SELECT image_id, tag_id, 1.0 AS weight FROM candidate_tags WHERE split = 'train'"
_SHARED = "SELECT DISTINCT tag_id FROM current_metrics WHERE tag_id IS NOT NULL ORDER BY tag_id"


@dataclass(frozen=True)
class Uncleaned:
    """What that tagger says of the evaluation images: scores (N, L) of the tags that it knows."""

    tag_ids: tuple[int, ...]
    scores: Floats


@contextmanager
def training_uncleaned(
    path: Path, config: Config, workers: int, reporter: Reporter
) -> Iterator[Callable[[], Uncleaned]]:
    """Train on all candidate tags while the body does something else; the result waits for it.

    With one worker it is trained when it is asked for.
    """
    if workers == 1:
        yield lambda: train_uncleaned(path, config, reporter)
        return
    with worker_pool(1, reporter) as pool:
        training = pool.submit(_train_in_pool, path, config)
        yield training.result


def _train_in_pool(path: Path, config: Config) -> Uncleaned:
    return train_uncleaned(path, config, worker_reporter())


def train_uncleaned(path: Path, config: Config, reporter: Reporter) -> Uncleaned:
    """A tagger trained on all candidate tags, as the retrained one is on the published ones."""
    with Lake.open(path, read_only=True) as lake:
        context = Context(lake.path, config, 1, lake.query, lake.batches, reporter.progress)
        stage = Retrain(config, 1)
        inputs = {name: lake.query(sql) for name, sql in stage.inputs.items()}
        nothing = lake.query(f"{_CANDIDATES} LIMIT 0")
        data = training_set(Batch(("corpus",), inputs), lake.query(_CANDIDATES), nothing, stage)
        images = images_of(lake.query(Evaluate.inputs["features"]))
    tagger = data.train(config.retrain.tagger, context, "without cleaning")
    return Uncleaned(data.vocabulary.tag_ids, tagger.score(images.features))


def uncleaned_map(lake: Lake, uncleaned: Uncleaned) -> float:
    """Its mAP on the evaluation split, over the tags that the cycle's taggers are judged by."""
    images = images_of(lake.query(Evaluate.inputs["features"]))
    labels = vocabulary_of(lake.query(Evaluate.inputs["labels"]))
    truth = multi_hot(images, labels, lake.query(Evaluate.inputs["truth"]))
    shared = [tag for tag in lake.query(_SHARED)["tag_id"].to_pylist() if tag in uncleaned.tag_ids]
    own = [uncleaned.tag_ids.index(tag) for tag in shared]
    columns = labels.columns_of(pa.array(shared, pa.int32()))
    return evaluate_scores(uncleaned.scores[:, own], truth[:, columns]).overall["mAP"]
