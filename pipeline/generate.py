"""Generate: raw tag scores and one caption per image, by models that have not seen its fold."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from pipeline.columns import Floats, constant, table_of
from pipeline.dataset import SAID, Images, Ints, Vocabulary, columns_by_row, images_of
from pipeline.errors import PipelineError
from pipeline.ingest import caption_id
from pipeline.models import FoldTagger, load_captioners, load_taggers
from pipeline.stage import Batch, Context, Counts, Result, Stage

GUIDES = 5
"""Best-scored tags that guide a generated caption."""


class Generate(Stage):
    """Keeps raw scores; thresholds are applied in views, so changing them costs no inference."""

    name = "generate"
    version = 2
    doc = "images -> tag scores and generated captions"
    reads = ("features", "images", "models", "mentions", "label_surfaces")
    writes = ("tag_scores", "captions")
    inputs: ClassVar = {
        "features": "SELECT f.image_id, i.fold_key, f.positions, f.channels, f.map "
        "FROM current_features f JOIN current_images i USING (image_id) "
        "WHERE i.split = 'train' AND list_contains($units, i.shard_id) ORDER BY f.image_id",
        "caption_tags": f"SELECT image_id, tag_id FROM ({SAID}) "
        "WHERE list_contains($units, shard_id)",
    }
    sections = ("generate",)

    def identity(self) -> dict[str, Any]:
        """Folds decide who judges whom."""
        return {"folds": self.config.baseline.folds}

    def setup(self, context: Context) -> None:
        """Load the fold models."""
        self.taggers = load_taggers(context, "fold")
        self.captioners = load_captioners(context) if self.config.generate.captions else {}

    def run(self, batch: Batch, context: Context) -> Result:
        """Scores of the best and of the caption's own tags; one caption per image.

        An image that no model has not seen has none, and keeps the tags of its captions.

        Raises:
            PipelineError: a model gives scores that are no numbers.
        """
        images = images_of(batch["features"])
        folds = images.folds(self.config.baseline.folds)
        scores, captions = [], []
        for fold in sorted(set(folds.tolist()) & set(self.taggers)):
            rows = np.flatnonzero(folds == fold)
            part = Images(
                [images.ids[r] for r in rows], images.fold_keys[rows], images.features[rows]
            )
            judge = self.taggers[fold]
            own = self._own(part, judge.vocabulary, batch["caption_tags"])
            values = judge.tagger.score(part.features)
            if not np.isfinite(values).all():
                raise PipelineError(
                    f"generate: model {judge.digest[:12]} gives scores that are no numbers: the "
                    "encoder's weights are damaged, or its training went wrong (lower encoder_lr "
                    "in baseline.tagger and refine.tagger)"
                )
            scores.append(self._score_rows(part, judge, values, own))
            captions += self._captions(part, fold, values)
        rows_out = {"captions": table_of("captions", captions)}
        if scores:
            rows_out["tag_scores"] = pa.concat_tables(scores)
        # Where all images that teach anything are of one fold, no model has not seen it.
        unjudged = int((~np.isin(folds, list(self.taggers))).sum())
        scored = sum(len(set(t.column(0).to_pylist())) for t in scores)
        counts = Counts(len(images.ids), scored, dropped=unjudged)
        return Result(rows_out, {batch.unit: counts})

    def _own(self, part: Images, vocabulary: Vocabulary, tags: pa.Table) -> list[list[int]]:
        rows = part.rows_of(tags.column("image_id"))
        return columns_by_row(rows, vocabulary.columns_of(tags.column("tag_id")), len(part.ids))

    def _score_rows(
        self, part: Images, judge: FoldTagger, values: Floats, own: list[list[int]]
    ) -> pa.Table:
        kept = min(self.config.generate.keep_scores, values.shape[1])
        # Ties break by column, so the rows kept never depend on the machine's partition order.
        best = np.argsort(-values, axis=1, kind="stable")[:, :kept]
        wanted = np.zeros(values.shape, bool)
        np.put_along_axis(wanted, best, True, axis=1)
        for row, own_columns in enumerate(own):
            wanted[row, own_columns] = True
        rows, columns = np.nonzero(wanted)
        return score_table(part, judge, rows, columns, values[rows, columns])

    def _captions(self, part: Images, fold: int, values: Floats) -> list[dict[str, Any]]:
        if fold not in self.captioners:
            return []
        by = self.captioners[fold]
        guides = np.argsort(-values, axis=1, kind="stable")[:, :GUIDES]
        texts = by.captioner.generate(by.tagger.maps(part.features), guides.tolist())
        return [
            {
                "caption_id": caption_id(image_id, "generated", text), "image_id": image_id,
                "text": text, "source": "generated", "model_digest": by.digest,
            }
            for image_id, text in zip(part.ids, texts, strict=True)
            if text
        ]  # fmt: skip


def score_table(
    part: Images, judge: FoldTagger, rows: Ints, columns: Ints, values: Floats
) -> pa.Table:
    """Rows of `tag_scores` for pairs of image row and vocabulary column."""
    tag_ids = np.array(judge.vocabulary.tag_ids, dtype=np.int32)
    return table_of(
        "tag_scores",
        {
            "image_id": pa.array(part.ids, pa.string()).take(pa.array(rows)),
            "label_version": constant(judge.vocabulary.version, len(rows), pa.string()),
            "tag_id": tag_ids[columns],
            "fold": constant(judge.fold, len(rows), pa.int32()),
            "model_digest": constant(judge.digest, len(rows), pa.string()),
            "score": values,
        },
    )
