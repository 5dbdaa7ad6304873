"""What cleaning is worth to the tagger: one trained on the tags as generated, before cleaning.

It is trained and scored as the retrained one is, and then forgotten: no stage reads it.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from model.metrics import evaluate_scores
from pipeline.config import Config
from pipeline.dataset import images_of, multi_hot, vocabulary_of
from pipeline.evaluate import Evaluate
from pipeline.retrain import Retrain, training_set
from pipeline.stage import Batch, Context
from storage.lake import Lake

_CANDIDATES = "SELECT image_id, tag_id, 1.0 AS weight FROM candidate_tags WHERE split = 'train'"
_SHARED = "SELECT DISTINCT tag_id FROM current_metrics WHERE tag_id IS NOT NULL ORDER BY tag_id"


def uncleaned_map(lake: Lake, config: Config) -> float:
    """mAP on the evaluation split of a tagger trained on all candidate tags."""
    context = Context(lake.path, config, 1, lake.query, lake.batches)
    stage = Retrain(config, 1)
    batch = Batch(("corpus",), {name: lake.query(sql) for name, sql in stage.inputs.items()})
    nothing = pa.table({"image_id": pa.array([], pa.string()), "tag_id": pa.array([], pa.int32())})
    data = training_set(batch, lake.query(_CANDIDATES), nothing, stage)
    tagger = data.train(config.retrain.tagger, context, "uncleaned")
    images = images_of(lake.query(Evaluate.inputs["features"]))
    labels = vocabulary_of(lake.query(Evaluate.inputs["labels"]))
    truth = multi_hot(images, labels, lake.query(Evaluate.inputs["truth"]))
    shared = lake.query(_SHARED).column("tag_id").combine_chunks()
    own = data.vocabulary.columns_of(shared)
    scores = tagger.score(images.features)[:, own[own >= 0]]
    columns = labels.columns_of(shared)[own >= 0]
    return evaluate_scores(scores, truth[:, np.asarray(columns)]).overall["mAP"]
