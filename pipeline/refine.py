"""Refine: each fold's tagger learns on, from the tags that the other folds' taggers vouch for.

What captions say is wrong in parts and leaves much out, and a judge that learned it as it stands is
the worse for it. The taggers of `baseline` have scores for images that they have not seen; by these
the others' tags are weighed (`pipeline/vouched.py`), and a fold's tagger learns on from that. Its
own fold's images it still has not seen. What comes of it judges better, so the same is done again
with its scores. The captioners are trained beside the second time: they look through the blocks of
the taggers that the first has made.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from model.encoder import encoder_with
from model.text import TextEncoder
from model.threads import use_threads
from model.train import train_captioner, train_tagger
from pipeline.columns import Floats
from pipeline.dataset import (
    CAPTION_TAGS,
    LABEL_TABLES,
    TRAIN_FEATURES,
    UNSETTLED,
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
    """Makes of each fold's first tagger one that has learned from what all of these vouch for."""

    name = "refine"
    version = 5
    doc = "tags that held-out scores vouch for -> better fold taggers"
    unit = "corpus"
    pinned = True
    pool_from = 2
    reads: ClassVar[tuple[str, ...]] = (
        "features", "images", "mentions", *LABEL_TABLES, "models",
    )  # fmt: skip
    writes = ("models",)
    seeded = True
    inputs: ClassVar = {
        "features": TRAIN_FEATURES,
        "tags": CAPTION_TAGS,
        "unsettled": UNSETTLED,
        "encoder": "SELECT DISTINCT encoder FROM current_features",
    }
    sections = ("baseline", "refine")
    learns_from: ClassVar = "first"
    makes: ClassVar = "refined"
    looks: ClassVar = False
    """Whether what it makes is asked where a tag is, too, and not only for scores of images."""

    def identity(self) -> dict[str, Any]:
        """A later cycle trains anew."""
        return {"cycle": self.cycle, "text": TextEncoder().digest}

    @property
    def parts(self) -> tuple[str, ...]:
        """One for each fold."""
        return tuple(f"fold {fold}" for fold in range(self.config.baseline.folds))

    def run(self, batch: Batch, context: Context) -> Result:
        """A model that has not seen a fold; none where the fold has no tagger to start from."""
        images, fold = images_of(batch["features"]), int(batch.unit.split()[-1])
        judges = load_taggers(context, self.learns_from)
        seen = images.only(images.folds(self.config.baseline.folds) != fold)
        use_threads(self._threads(batch.unit))
        rows = []
        if fold in judges:
            model, role = self.learn(judges, fold, seen, batch, context)
            if model is not None:
                rows.append(self._save(model, role, judges[fold], batch, context))
        artifact = digest([row["model_digest"] for row in rows])
        count = len(seen.ids)
        return Result({"models": model_rows(rows)}, {batch.unit: Counts(count, count)}, artifact)

    def learn(
        self, judges: dict[int, FoldTagger], fold: int, seen: Images, batch: Batch, context: Context
    ) -> tuple[Any, str]:
        """The model of a part and its role, by the judges of all folds and the images it sees."""
        judge = judges[fold]
        said = multi_hot(seen, judge.vocabulary, batch["tags"])
        unsettled = multi_hot(seen, judge.vocabulary, batch["unsettled"])
        scores = _held_out(seen, judges, self.config.baseline.folds)
        targets, known = vouched(scores, said, unsettled)
        words = f"{self.name} without fold {fold + 1}"
        tagger = train_tagger(
            seen.features, targets, judge.tagger.queries.numpy(), self.config.refine.tagger,
            known=known, init=judge.tagger, anew=self.looks,
            kinds=judge.vocabulary.kinds, groups=seen.fold_keys,
            seed=self.config.seed, threads=self._threads(batch.unit),
            progress=lambda done, total: context.progress(done, total, words),
        )  # fmt: skip
        return tagger, self.makes

    def _threads(self, part: str) -> int:
        """Twice as many for the last of an odd number: the other of two workers has nothing left.

        The same however many workers there are, since they are part of the result.
        """
        alone = len(self.parts) % 2 == 1 and part == self.parts[-1]
        return self.config.baseline.threads * (2 if alone else 1)

    def _save(
        self, model: Any, role: str, judge: FoldTagger, batch: Batch, context: Context
    ) -> dict[str, Any]:
        encoder = encoder_with(batch["encoder"].column(0)[0].as_py())
        by = TrainedBy(
            role, judge.fold, encoder.digest, self.config.refine.model_dump(mode="json"),
            self.config.seed, parent=judge.digest,
        )  # fmt: skip
        return save_model(model, judge.vocabulary, by, context)


class RefineAgain(Refine):
    """Makes the judges, from what refined taggers vouch for, and captioners beside them."""

    name = "refine-again"
    version = 3
    doc = "tags that refined taggers vouch for -> judges; captions -> captioners"
    reads: ClassVar[tuple[str, ...]] = (*Refine.reads, "captions")
    inputs: ClassVar = Refine.inputs | {
        "captions": "SELECT image_id, text FROM current_captions WHERE source = 'original' "
        "ORDER BY caption_id",
    }
    learns_from = "refined"
    makes = "fold"
    looks = True

    @property
    def parts(self) -> tuple[str, ...]:
        """Each fold's judge, then each fold's captioner: they need not wait for each other."""
        return (*super().parts, *(part.replace("fold", "captioner") for part in super().parts))

    def learn(
        self, judges: dict[int, FoldTagger], fold: int, seen: Images, batch: Batch, context: Context
    ) -> tuple[Any, str]:
        """A judge, or a captioner; none where the images have no caption."""
        if batch.unit.startswith("fold"):
            return super().learn(judges, fold, seen, batch, context)
        judge = judges[fold]
        told = captions_by_image(batch["captions"], seen)
        if not told[1]:
            return None, "captioner"
        tags = tags_of_row(multi_hot(seen, judge.vocabulary, batch["tags"]))
        captioner = train_captioner(
            judge.tagger.maps(seen.features), tags, *told, judge.tagger.queries.numpy(),
            self.config.refine.captioner, seed=self.config.seed,
            threads=self.config.baseline.threads,
            progress=lambda done, total: context.progress(
                done, total, f"captioner without fold {fold + 1}"
            ),
        )  # fmt: skip
        return captioner, "captioner"


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
