"""Refine: each fold's tagger learns on, from the tags that the other folds' taggers vouch for.

What captions say is wrong in parts and leaves much out, and a judge that learned it as it stands is
the worse for it. The taggers of `baseline` have scores for images that they have not seen; by these
the others' tags are weighed (`pipeline/vouched.py`), and a fold's tagger learns on from that. Its
own fold's images it still has not seen. The captioners are trained here, since they look through
the blocks of the tagger that they stand beside.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from model.encoder import encoder_with
from model.tagger import Tagger
from model.text import TextEncoder
from model.train import train_captioner, train_tagger
from pipeline.columns import Floats
from pipeline.dataset import (
    CAPTION_TAGS,
    TRAIN_FEATURES,
    Images,
    captions_by_image,
    images_of,
    multi_hot,
    tags_of_row,
)
from pipeline.fingerprint import digest
from pipeline.models import FoldTagger, TrainedBy, load_taggers, model_rows, save_model
from pipeline.stage import Batch, Context, Counts, Result, Stage
from pipeline.vouched import vouched


class Refine(Stage):
    """Makes the judges: for each fold a tagger and a captioner that have not seen it."""

    name = "refine"
    doc = "tags that held-out scores vouch for -> fold taggers, captioners"
    unit = "corpus"
    pinned = True
    pool_from = 2
    reads = ("features", "images", "mentions", "captions", "labels", "label_surfaces", "models")
    writes = ("models",)
    seeded = True
    inputs: ClassVar = {
        "features": TRAIN_FEATURES,
        "tags": CAPTION_TAGS,
        "captions": "SELECT image_id, text FROM current_captions WHERE source = 'original' "
        "ORDER BY caption_id",
        "encoder": "SELECT DISTINCT encoder FROM current_features",
    }
    sections = ("baseline", "refine")

    def identity(self) -> dict[str, Any]:
        """A later cycle trains anew."""
        return {"cycle": self.cycle, "text": TextEncoder().digest}

    @property
    def parts(self) -> tuple[str, ...]:
        """One for each fold."""
        return tuple(f"fold {fold}" for fold in range(self.config.baseline.folds))

    def run(self, batch: Batch, context: Context) -> Result:
        """A tagger of role fold and a captioner; neither where the fold has no first tagger."""
        images, fold = images_of(batch["features"]), self.parts.index(batch.unit)
        folds = images.folds(self.config.baseline.folds)
        judges = load_taggers(context, "first")
        seen = images.only(folds != fold)
        rows = []
        if fold in judges:
            said = multi_hot(seen, judges[fold].vocabulary, batch["tags"])
            targets, known = vouched(_held_out(seen, judges, self.config.baseline.folds), said)
            tagger = self._tagger(judges[fold], seen, targets, known, context)
            rows.append(self._save(tagger, "fold", judges[fold], batch, context))
            told = captions_by_image(batch["captions"], seen)
            if told[1]:
                captioner = train_captioner(
                    tagger.maps(seen.features), tags_of_row(said), *told, tagger.queries.numpy(),
                    self.config.refine.captioner, seed=self.config.seed,
                    threads=self.config.baseline.threads,
                    progress=lambda done, total: context.progress(
                        done, total, f"captioner without fold {fold + 1}"
                    ),
                )  # fmt: skip
                rows.append(self._save(captioner, "captioner", judges[fold], batch, context))
        artifact = digest([row["model_digest"] for row in rows])
        count = len(seen.ids)
        return Result({"models": model_rows(rows)}, {batch.unit: Counts(count, count)}, artifact)

    def _tagger(
        self, judge: FoldTagger, images: Images, targets: Floats, known: Floats, context: Context
    ) -> Tagger:
        words = f"refining without fold {judge.fold + 1}"
        return train_tagger(
            images.features, targets, judge.tagger.queries.numpy(), self.config.refine.tagger,
            known=known, init=judge.tagger, kinds=judge.vocabulary.kinds, groups=images.fold_keys,
            seed=self.config.seed, threads=self.config.baseline.threads,
            progress=lambda done, total: context.progress(done, total, words),
        )  # fmt: skip

    def _save(
        self, model: Any, role: str, judge: FoldTagger, batch: Batch, context: Context
    ) -> dict[str, Any]:
        encoder = encoder_with(batch["encoder"].column(0)[0].as_py())
        by = TrainedBy(
            role, judge.fold, encoder.digest, self.config.refine.model_dump(mode="json"),
            self.config.seed, parent=judge.digest,
        )  # fmt: skip
        return save_model(model, judge.vocabulary, by, context)


def _held_out(images: Images, judges: dict[int, FoldTagger], folds: int) -> Floats:
    """Scores (N, L), each image's by the tagger that has not seen its fold; 0 where there is none.

    All have the same tags: they are of one baseline.
    """
    of_image = images.folds(folds)
    labels = next(iter(judges.values())).tagger.labels
    scores = np.zeros((len(images.ids), labels), np.float32)
    for fold, judge in judges.items():
        rows = np.flatnonzero(of_image == fold)
        scores[rows] = judge.tagger.score(images.features[rows])
    return scores
