"""Calibrate: thresholds per tag from held-out scores, each fold's from the other folds.

`generate` is the score from which an image gets the tag by the tagger alone; `support` the lower
one that is enough where a generated caption names it, too; from `doubt` on a missing tag is not
taken as absent when the tagger is retrained. All three ask for a probability of being in the
picture, of which captions say only a share, `said`. `tag` is the score from which the tagger gives
a tag to a picture: that of the best F1, or of a precision that is asked for. `midpoint`, `slope`,
`noise` and `certain` are for grounding and cleaning: from where and how much these scores weigh as
evidence, the share of wrong tags, and how likely a tag must be wrong to be dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from model.thresholds import best_f1_thresholds, fit_curve
from pipeline.columns import Floats, constant, table_of
from pipeline.dataset import (
    CAPTION_TAGS,
    LABEL_TABLES,
    LABELS,
    UNSETTLED,
    Images,
    Vocabulary,
    multi_hot,
    vocabulary_of,
)
from pipeline.fingerprint import digest
from pipeline.rules.base import Bools
from pipeline.rules.noise import (
    certain_from,
    evidence_slope,
    midpoints,
    most_wrong,
    wrong_share,
)
from pipeline.stage import Batch, Context, Counts, Result, Stage

HELD_OUT_SCORES = """
    SELECT s.image_id, i.fold_key, s.tag_id, s.score
    FROM current_tag_scores s JOIN current_images i USING (image_id)
    JOIN current_labels l USING (label_version, tag_id)
    WHERE i.split = 'train' ORDER BY s.image_id, s.tag_id
"""

_CUTS = {"generate": "precision", "support": "support", "doubt": "doubt"}


class Calibrate(Stage):
    """Thresholds are data: a view applies them."""

    name = "calibrate"
    version = 12
    doc = "held-out scores -> thresholds per tag and fold"
    unit = "corpus"
    pinned = True
    reads = ("tag_scores", "mentions", "images", *LABEL_TABLES, "models")
    writes = ("thresholds",)
    inputs: ClassVar = {
        "scores": HELD_OUT_SCORES, "tags": CAPTION_TAGS, "labels": LABELS, "unsettled": UNSETTLED,
    }  # fmt: skip
    sections = ("calibrate",)

    def identity(self) -> dict[str, Any]:
        """Folds decide whose scores set whose thresholds."""
        kept = self.config.generate.keep_scores
        return {"folds": self.config.baseline.folds, "keep_scores": kept}

    def run(self, batch: Batch, context: Context) -> Result:
        """One row per fold and learned tag."""
        images, vocabulary, scores = dense_scores(batch["scores"], batch["labels"])
        targets = multi_hot(images, vocabulary, batch["tags"])
        unknown = (multi_hot(images, vocabulary, batch["unsettled"]) > 0) & (targets == 0)
        unknown |= not_kept(scores, self.config.generate.keep_scores)
        folds = images.folds(self.config.baseline.folds)
        tables = []
        for fold in range(self.config.baseline.folds):
            others = folds != fold
            if not others.any() or not len(vocabulary):
                continue
            wanted = self.config.calibrate.model_dump()
            seen = scores[others], targets[others]
            curve = fit_curve(*seen, unknown[others])
            cuts = {
                column: curve.thresholds_of_presence(wanted[name]) for column, name in _CUTS.items()
            }
            given = self.config.calibrate.tag_precision
            cuts["tag"] = (
                best_f1_thresholds(*seen, unknown[others])
                if given is None
                else curve.thresholds(given)
            )
            # What would be generated, or is hardly told from what is said, is no absent tag.
            judged = *seen, unknown[others] | (scores[others] >= cuts["generate"])
            middle = midpoints(*judged)
            slope = evidence_slope(*judged)
            noise = min(wrong_share(*judged, slope), most_wrong(*judged))
            certain = certain_from(*judged, slope, noise, wanted["lose"])
            of_all = {"slope": slope, "noise": noise, "certain": certain, "said": curve.top}
            tables.append(_rows(vocabulary, fold, cuts, middle, targets[others], of_all))
        empty = table_of("thresholds", [])
        table = pa.concat_tables(tables) if tables else empty
        counts = Counts(len(vocabulary), len(set(table.column("tag_id").to_pylist())))
        return Result({"thresholds": table}, {batch.unit: counts}, digest(table.to_pydict()))


def not_kept(scores: Floats, kept: int) -> Bools:
    """Pairs (N, L) that teach nothing: their scores are not among the `kept` best of an image.

    Those of its caption's own tags are stored however low they are, the others are not: what is
    stored of low scores would all be said.
    """
    least = np.sort(scores, axis=1)[:, -kept:][:, :1]
    found: Bools = (scores < least) | (scores == 0)
    return found


def dense_scores(scores: pa.Table, labels: pa.Table) -> tuple[Images, Vocabulary, Floats]:
    """Held-out scores as (N, L), for the tags that have any; scores not kept count as 0."""
    per_image = scores.group_by(["image_id", "fold_key"], use_threads=False).aggregate([])
    images = Images(
        per_image.column("image_id").to_pylist(),
        per_image.column("fold_key").to_numpy(),
        np.zeros((per_image.num_rows, 0, 0), np.float16),
    )
    vocabulary = vocabulary_of(labels)
    known = np.isin(np.array(vocabulary.tag_ids), scores.column("tag_id").to_numpy())
    vocabulary = vocabulary.subset(known)
    dense = np.zeros((len(images.ids), len(vocabulary)), np.float32)
    rows = images.rows_of(scores.column("image_id"))
    dense[rows, vocabulary.columns_of(scores.column("tag_id"))] = scores.column("score").to_numpy()
    return images, vocabulary, dense


def _rows(
    vocabulary: Vocabulary, fold: int, cuts: Mapping[str, Floats], middle: Floats, targets: Floats,
    of_all: Mapping[str, float],
) -> pa.Table:  # fmt: skip
    count = len(vocabulary)
    return table_of(
        "thresholds",
        {
            "label_version": constant(vocabulary.version, count, pa.string()),
            "fold": constant(fold, count, pa.int32()),
            "tag_id": np.array(vocabulary.tag_ids, np.int32),
            **cuts,
            "midpoint": pa.array(middle, pa.float32(), from_pandas=True),
            "positives": targets.sum(axis=0).astype(np.int32),
            **{name: constant(value, count, pa.float32()) for name, value in of_all.items()},
        },
    )
