"""Baseline: taggers trained on tags parsed from captions, one per held-out fold.

A model never judges what it was fitted on, so each fold has a tagger that has not seen it; one more
sees all of them and is what a retrained one must beat.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa

from model.encoder import encoder_with, make_encoder
from model.text import TextEncoder
from model.train import train_tagger
from pipeline.columns import constant
from pipeline.dataset import (
    CAPTION_TAGS,
    LABEL_TABLES,
    LABELS,
    TRAIN_FEATURES,
    UNSETTLED,
    images_of,
    learnable,
    vocabulary_of,
)
from pipeline.errors import PlanError
from pipeline.fingerprint import digest
from pipeline.models import TrainedBy, model_rows, save_model
from pipeline.published import DOUBTED, MEANT, PUBLISHED, in_todays_tags, targets_of
from pipeline.stage import Batch, Context, Counts, Result, Stage
from storage.lake import Lake

# The newest by the ledger: a setting that was tried and taken back has published later, too.
_EARLIER = """
    SELECT p.publication_id, p.snapshot_id, p.label_version
    FROM publications p JOIN ledger l USING (work_id)
    WHERE p.cycle < $cycle ORDER BY p.cycle DESC, l.seq DESC LIMIT 1
"""


class TrainBaseline(Stage):
    """Trains on caption tags in the first cycle, on the last publication's tags later."""

    name = "baseline"
    version = 11
    doc = "caption tags -> taggers, cross-fitted"
    unit = "corpus"
    pinned = True
    reads = ("features", "images", "mentions", *LABEL_TABLES)
    writes = ("models",)
    seeded = True
    inputs: ClassVar = {
        "features": TRAIN_FEATURES,
        "tags": CAPTION_TAGS,
        "unsettled": UNSETTLED,
        "labels": LABELS,
        "encoder": "SELECT DISTINCT encoder FROM current_features",
    }
    sections = ("baseline",)

    def identity(self) -> dict[str, Any]:
        """A later cycle trains anew, and so does another encoder: taggers are of its features."""
        encoder = make_encoder(self.config.encode.encoder).digest
        return {"cycle": self.cycle, "text": TextEncoder().digest, "encoder": encoder}

    @property
    def parts(self) -> tuple[str, ...]:
        """The tagger of all images, then that of each fold."""
        return ("corpus", *(f"fold {fold}" for fold in range(self.config.baseline.folds)))

    def run(self, batch: Batch, context: Context) -> Result:
        """A tagger of role baseline, or one of role first that has not seen a fold."""
        config = self.config.baseline
        images = images_of(batch["features"])
        tags, doubted, publication = _source(batch, context)
        vocabulary = vocabulary_of(batch["labels"])
        targets, known = targets_of(images, vocabulary, tags, doubted, batch["unsettled"])
        keep = learnable(targets, config.min_images)
        if not keep.any():
            raise PlanError(
                f"baseline: no tag has {config.min_images} training images "
                f"({len(images.ids)} images in all); ingest more or lower baseline.min_images"
            )
        vocabulary, targets, known = vocabulary.subset(keep), targets[:, keep], known[:, keep]
        encoder = encoder_with(batch["encoder"].column(0)[0].as_py())
        fold = self.parts.index(batch.unit) - 1
        seen = images.folds(config.folds) != fold
        # Judges leave the decoder silent (`REFINING`), and so does what they learn on from.
        recipe = config.tagger.model_copy(update={"epochs": 0}) if fold >= 0 else config.tagger
        rows = []
        if targets[seen].any():
            part = images.only(seen)
            words = f"tagger without fold {fold + 1}" if fold >= 0 else "baseline tagger"
            tagger = train_tagger(
                part.features, targets[seen], TextEncoder().label_queries(vocabulary.names),
                recipe, known=known[seen], encoder=encoder, kinds=vocabulary.kinds,
                groups=part.fold_keys, seed=self.config.seed, threads=config.threads,
                progress=lambda done, total: context.progress(done, total, words),
            )  # fmt: skip
            by = TrainedBy(
                "first" if fold >= 0 else "baseline", fold, encoder.digest,
                config.model_dump(mode="json"), self.config.seed, publication=publication,
            )  # fmt: skip
            rows.append(save_model(tagger, vocabulary, by, context))
        artifact = digest([row["model_digest"] for row in rows])
        count = int(seen.sum())
        return Result({"models": model_rows(rows)}, {batch.unit: Counts(count, count)}, artifact)


def _source(batch: Batch, context: Context) -> tuple[pa.Table, pa.Table, str | None]:
    """The tags to train on, with weights, the doubted pairs, and the publication they come from.

    In the first cycle there is none yet: what captions say, and no doubts.
    """
    earlier = context.query(_EARLIER, {"cycle": context.cycle}).to_pylist()
    if not earlier:
        said = batch["tags"]
        weight = constant(1.0, said.num_rows, pa.float64())
        return said.append_column("weight", weight), said.slice(0, 0), None
    newest = earlier[0]
    with Lake.open(context.lake, read_only=True, snapshot=newest["snapshot_id"]) as lake:
        tags, doubted = lake.query(PUBLISHED), lake.query(DOUBTED)
    meant = context.query(MEANT, {"version": newest["label_version"]})
    return *in_todays_tags(tags, doubted, meant), newest["publication_id"]
