"""Evaluate: every tagger of the cycle and the one in service on the frozen evaluation split.

The truth is what `truth` holds of an image (planted, or said by a person); an image without such
rows counts by the tags of its human captions, a lower bound of the truth. No evaluation image is
ever trained on, nor given a pseudo-label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from model.label_columns import gathered, places_of
from model.metrics import evaluate_scores
from pipeline.columns import Floats, table_of
from pipeline.dataset import (
    EVAL_FEATURES,
    LABELS,
    SAID,
    Vocabulary,
    images_of,
    multi_hot,
    todays_ids,
    vocabulary_of,
)
from pipeline.fingerprint import digest
from pipeline.models import FoldTagger, load_service, load_taggers
from pipeline.stage import Batch, Context, Counts, Result, Stage

TRUTH = f"""
    WITH named AS (
        SELECT t.image_id, s.tag_id FROM current_truth t
        JOIN current_label_surfaces s
          ON (s.surface = t.name OR list_contains(t.synonyms, s.surface))
         AND (s.kind = t.kind OR (s.kind IN ('object', 'scene') AND t.kind IN ('object', 'scene')))
        WHERE s.tag_id IS NOT NULL
    )
    SELECT DISTINCT image_id, tag_id FROM named
    UNION
    SELECT image_id, tag_id FROM ({SAID})
    WHERE image_id NOT IN (SELECT image_id FROM current_truth)
"""
ROLES = ("baseline", "retrained", "fine-tuned")
IN_SERVICE = "in service"
"""The role of an earlier tagger that the cycle's are to beat."""


class Evaluate(Stage):
    """Compares models over the tags that all of the cycle know and the split shows.

    What the one in service does not know of them it gives to no image.
    """

    name = "evaluate"
    version = 2
    doc = "taggers x evaluation split -> metrics"
    unit = "corpus"
    pinned = True
    reads = ("models", "features", "images", "truth", "mentions", "labels", "label_surfaces")
    writes = ("metrics",)
    inputs: ClassVar = {"features": EVAL_FEATURES, "truth": TRUTH, "labels": LABELS}
    sections = ()

    def run(self, batch: Batch, context: Context) -> Result:
        """Metrics per model, over all tags, per kind and per tag."""
        images = images_of(batch["features"])
        everything = vocabulary_of(batch["labels"])
        truth = multi_hot(images, everything, batch["truth"])
        taggers = {role: found[-1] for role in ROLES if (found := _load(context, role))}
        meant = {
            role: todays_ids(tagger.vocabulary, context.query) for role, tagger in taggers.items()
        }
        common = set.intersection(*map(set, meant.values()))
        known = np.array([tag_id in common for tag_id in everything.tag_ids], np.bool_)
        shared = everything.subset(known)
        service = load_service(context)
        if service and service.digest not in {tagger.digest for tagger in taggers.values()}:
            taggers[IN_SERVICE] = service
            meant[IN_SERVICE] = todays_ids(service.vocabulary, context.query)
        rows: list[dict[str, Any]] = []
        for role, tagger in taggers.items():
            if not len(images.ids):
                break
            scores = of_tags(tagger.tagger.score(images.features), meant[role], shared)
            of_model = {"subject": tagger.digest, "role": role, "split": "eval"}
            rows += metric_rows(of_model, scores, truth[:, known], shared.tag_ids, shared.kinds)
        table = table_of("metrics", rows)
        counts = Counts(len(images.ids), len(images.ids))
        return Result({"metrics": table}, {batch.unit: counts}, digest(table.to_pydict()))


def of_tags(scores: Floats, meant: Sequence[int], asked: Vocabulary) -> Floats:
    """Scores (N, L) of a model's tags, which are `meant`, as those of other tags (N, M).

    Of tags that are one by now the highest counts; what the model does not know is 0.
    """
    columns = places_of(asked.tag_ids, meant)
    return gathered(scores, columns, np.zeros((len(scores), columns.count(())), np.float32))


def _load(context: Context, role: str) -> dict[int, FoldTagger]:
    have = context.query("SELECT DISTINCT role FROM current_models").column(0).to_pylist()
    return load_taggers(context, role) if role in have else {}


def metric_rows(
    of_model: dict[str, Any], scores: Floats, truth: Floats, tag_ids: tuple[int, ...],
    kinds: tuple[str, ...],
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of `metrics` for scores and truth of (N, L)."""
    rows = []
    for kind in ("all", *sorted(set(kinds))):
        chosen = np.array([kind in ("all", k) for k in kinds])
        found = evaluate_scores(scores[:, chosen], truth[:, chosen])
        rows += [
            of_model
            | {"name": name, "kind": kind, "tag_id": None, "value": value,
               "support": int(truth[:, chosen].sum())}
            for name, value in found.overall.items()
        ]  # fmt: skip
        if kind == "all":
            rows += [
                of_model
                | {"name": "AP", "kind": k, "tag_id": tag_id, "value": float(ap),
                   "support": int(support)}
                for tag_id, k, ap, support in zip(
                    tag_ids, kinds, found.per_class, truth.sum(axis=0), strict=True
                )
                if not np.isnan(ap)
            ]  # fmt: skip
    return rows
