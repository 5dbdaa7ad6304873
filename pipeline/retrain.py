"""Retrain: a new tagger on the published tags, then fine-tuned on the images of a query."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.config import TrainConfig
from model.encoder import Encoder, encoder_with
from model.tagger import Tagger
from model.text import TextEncoder
from model.train import train_tagger
from pipeline.columns import Floats
from pipeline.dataset import (
    LABEL_TABLES,
    LABELS,
    TRAIN_FEATURES,
    UNSETTLED,
    Images,
    Vocabulary,
    images_of,
    learnable,
    vocabulary_of,
)
from pipeline.fingerprint import digest
from pipeline.models import TrainedBy, model_rows, save_model
from pipeline.published import DOUBTED, PUBLISHED, targets_of
from pipeline.stage import Batch, Context, Counts, Result, Stage
from storage.lake import Lake
from storage.sql import check_query


class Retrain(Stage):
    """Trains on the newest publication; stays with it until `tagwright retrain` or a new cycle."""

    name = "retrain"
    version = 11
    doc = "published tags -> retrained and fine-tuned tagger"
    unit = "corpus"
    pinned = True
    reads = ("publications", "features", "images", "mentions", *LABEL_TABLES, "models")
    writes = ("models",)
    seeded = True
    inputs: ClassVar = {
        "features": TRAIN_FEATURES,
        "labels": LABELS,
        "unsettled": UNSETTLED,
        "publication": "SELECT * FROM current_publications",
        "encoder": "SELECT DISTINCT encoder FROM current_features",
    }
    sections = ("baseline", "retrain")

    def identity(self) -> dict[str, Any]:
        """A later cycle trains anew."""
        return {"cycle": self.cycle, "text": TextEncoder().digest}

    def check(self) -> None:
        """Read the query, so that a mistake in it is told before any work."""
        check_query(self.config.retrain.clean_subset)

    def run(self, batch: Batch, context: Context) -> Result:
        """Models of role retrained and, where the clean subset has images, fine-tuned."""
        (publication,) = batch["publication"].to_pylist()
        with Lake.open(
            context.lake, read_only=True, snapshot=publication["snapshot_id"]
        ) as published:
            data = training_set(batch, published.query(PUBLISHED), published.query(DOUBTED), self)
            clean = set(published.query(self.config.retrain.clean_subset).column(0).to_pylist())
        tagger = data.train(self.config.retrain.tagger, context, "retraining")
        rows = [self._save(tagger, data, publication, "retrained", None, context)]
        chosen = np.array([image_id in clean for image_id in data.images.ids])
        if chosen.any():
            part = data.only(chosen)
            tuned = part.train(self.config.retrain.finetune, context, "fine-tuning", tagger)
            parent = rows[0]["model_digest"]
            rows.append(self._save(tuned, data, publication, "fine-tuned", parent, context))
        count = len(data.images.ids)
        artifact = digest([row["model_digest"] for row in rows])
        return Result({"models": model_rows(rows)}, {batch.unit: Counts(count, count)}, artifact)

    def _save(
        self, tagger: Tagger, data: TrainingSet, publication: dict[str, Any], role: str,
        parent: str | None, context: Context,
    ) -> dict[str, Any]:  # fmt: skip
        by = TrainedBy(
            role, -1, data.encoder.digest, self.config.retrain.model_dump(mode="json"),
            self.config.seed,
            publication=publication["publication_id"], snapshot_id=publication["snapshot_id"],
            parent=parent,
        )  # fmt: skip
        return save_model(tagger, data.vocabulary, by, context)


@dataclass(frozen=True)
class TrainingSet:
    """Features with targets (N, L) and which pairs are known (N, L)."""

    images: Images
    vocabulary: Vocabulary
    targets: Floats
    known: Floats
    queries: Floats
    encoder: Encoder
    seed: int
    threads: int

    def only(self, chosen: npt.NDArray[np.bool_]) -> TrainingSet:
        """The images where `chosen` (N,) is true."""
        return replace(
            self, images=self.images.only(chosen), targets=self.targets[chosen],
            known=self.known[chosen],
        )  # fmt: skip

    def train(
        self, config: TrainConfig, context: Context, words: str, init: Tagger | None = None
    ) -> Tagger:
        """A tagger trained on this set."""
        return train_tagger(
            self.images.features, self.targets, self.queries, config, known=self.known, init=init,
            encoder=None if init else self.encoder, kinds=self.vocabulary.kinds,
            groups=self.images.fold_keys, seed=self.seed, threads=self.threads,
            progress=lambda done, total: context.progress(done, total, words),
        )  # fmt: skip


def training_set(batch: Batch, tags: pa.Table, doubted: pa.Table, stage: Stage) -> TrainingSet:
    """What a tagger trains on: `tags` count by their weight; `doubted` pairs are unknown."""
    images, vocabulary = images_of(batch["features"]), vocabulary_of(batch["labels"])
    targets, known = targets_of(images, vocabulary, tags, doubted, batch["unsettled"])
    keep = learnable(targets, stage.config.baseline.min_images)
    vocabulary = vocabulary.subset(keep)
    return TrainingSet(
        images, vocabulary, targets[:, keep], known[:, keep],
        TextEncoder().label_queries(vocabulary.names),
        encoder_with(batch["encoder"].column(0)[0].as_py()), stage.config.seed,
        stage.config.retrain.threads,
    )  # fmt: skip
