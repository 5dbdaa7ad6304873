"""Retrain: a new tagger on the published tags, then fine-tuned on the cleanest images."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from model.text import TextEncoder
from model.train import train_tagger
from pipeline.columns import Floats
from pipeline.dataset import (
    LABELS,
    TRAIN_FEATURES,
    Images,
    images_of,
    learnable,
    multi_hot,
    vocabulary_of,
)
from pipeline.fingerprint import digest
from pipeline.models import TrainedBy, model_rows, save_model
from pipeline.stage import Batch, Context, Counts, Result, Stage
from storage.lake import Lake

PUBLISHED = "SELECT image_id, tag_id FROM tags WHERE split = 'train'"
DOUBTED = """
    SELECT c.image_id, c.tag_id FROM candidate_tags c
    ANTI JOIN tags t ON t.image_id = c.image_id AND t.tag_id = c.tag_id
    WHERE c.split = 'train'
    UNION
    SELECT s.image_id, s.tag_id FROM current_tag_scores s
    JOIN current_thresholds h USING (label_version, fold, tag_id)
    ANTI JOIN candidate_tags c ON c.image_id = s.image_id AND c.tag_id = s.tag_id
    WHERE s.score >= h.support
"""


class Retrain(Stage):
    """Trains on the newest publication; stays with it until `tagwright retrain` or a new cycle."""

    name = "retrain"
    doc = "published tags -> retrained and fine-tuned tagger"
    unit = "corpus"
    pinned = True
    reads = ("publications", "features", "images", "labels", "models")
    writes = ("models",)
    seeded = True
    inputs: ClassVar = {
        "features": TRAIN_FEATURES,
        "labels": LABELS,
        "publication": "SELECT * FROM current_publications",
        "encoder": "SELECT DISTINCT encoder FROM current_features",
    }
    sections = ("baseline", "retrain")

    def identity(self) -> dict[str, Any]:
        """A later cycle trains anew."""
        return {"cycle": self.cycle, "text": TextEncoder().digest}

    def run(self, batch: Batch, context: Context) -> Result:
        """Models of role retrained and, where the clean subset has images, fine-tuned."""
        (publication,) = batch["publication"].to_pylist()
        config, seed = self.config.retrain, self.config.seed
        images = images_of(batch["features"])
        with Lake.open(
            context.lake, read_only=True, snapshot=publication["snapshot_id"]
        ) as published:
            tags, doubted = published.query(PUBLISHED), published.query(DOUBTED)
            clean = set(published.query(config.clean_subset).column(0).to_pylist())
        vocabulary = vocabulary_of(batch["labels"])
        targets = multi_hot(images, vocabulary, tags)
        keep = learnable(targets, self.config.baseline.min_images)
        # Neither a dropped tag nor one that the tagger half sees is proof of absence.
        known = 1.0 - multi_hot(images, vocabulary, doubted)
        vocabulary, targets, known = vocabulary.subset(keep), targets[:, keep], known[:, keep]
        queries = TextEncoder().label_queries(vocabulary.names)
        threads = self.config.baseline.threads
        encoder = batch["encoder"].column(0)[0].as_py()
        tagger = train_tagger(
            images.features, targets, queries, config.tagger, known=known, seed=seed,
            threads=threads,
            progress=lambda done, total: context.progress(done, total, "retraining"),
        )  # fmt: skip
        by = TrainedBy(
            "retrained", -1, encoder, config.model_dump(mode="json"), seed,
            publication=publication["publication_id"], snapshot_id=publication["snapshot_id"],
        )  # fmt: skip
        rows = [save_model(tagger, vocabulary, by, context)]
        chosen = np.array([image_id in clean for image_id in images.ids])
        if chosen.any():
            part = _part(images, chosen)
            tuned = train_tagger(
                part.features, targets[chosen], queries, config.finetune, init=tagger,
                known=known[chosen], seed=seed, threads=threads,
                progress=lambda done, total: context.progress(done, total, "fine-tuning"),
            )  # fmt: skip
            by = TrainedBy(
                "fine-tuned", -1, encoder, config.model_dump(mode="json"), seed,
                publication=publication["publication_id"],
                snapshot_id=publication["snapshot_id"], parent=rows[0]["model_digest"],
            )  # fmt: skip
            rows.append(save_model(tuned, vocabulary, by, context))
        counts = Counts(len(images.ids), len(images.ids))
        artifact = digest([row["model_digest"] for row in rows])
        return Result({"models": model_rows(rows)}, {batch.unit: counts}, artifact)


def _part(images: Images, chosen: Floats) -> Images:
    rows = np.flatnonzero(chosen)
    return Images([images.ids[r] for r in rows], images.fold_keys[rows], images.features[rows])
