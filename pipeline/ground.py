"""Ground: each image's own candidate tags become regions with boxes and features.

The detector is asked only for tags that the image may have, and so is a model that has not seen
the image's fold. A detector that reads text is asked for tags that this model has not learned, too;
such regions have no score. A tag without a region is kept and reported as ungrounded.

A detector is two fifths of what the cycle costs on GPUs. With a budget it looks at a share of the
images: those in which the whole images' held-out scores expect most wrong tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from PIL import Image

from model.crops import crop_features, cut
from model.detectors import DetectorSettings, View, check_detector, make_detector, weights_digest
from model.encoder import Encoder, encoder_with, make_encoder
from model.errors import ModelError
from model.images import load_image
from model.regions import pool_regions, region_scores
from pipeline.columns import Floats, Halves, blobs_of, constant, table_of
from pipeline.dataset import (
    LABELS,
    Images,
    Ints,
    Vocabulary,
    columns_by_row,
    images_of,
    vocabulary_of,
)
from pipeline.errors import PlanError, SourceError
from pipeline.fingerprint import digest
from pipeline.models import load_taggers
from pipeline.pictures import picture_bytes
from pipeline.returned import VANISHED
from pipeline.rules.base import Bools
from pipeline.stage import Batch, Context, Counts, Result, Stage
from pipeline.ungrounded import BUDGET, GONE, NO_FEATURES, NO_JUDGE, NOT_FOUND, ungrounded

# Later captions repeat tags of images of other shards: what an earlier shard has evidence for is
# grounded with that one. Earlier by the order of ingest, whichever is done first.
_BROUGHT = """
    WITH brought AS MATERIALIZED (
        SELECT DISTINCT image_id, tag_id FROM tag_evidence
        WHERE split = 'train' AND list_contains($units, shard_id)
    ), late AS MATERIALIZED (
        SELECT image_id FROM current_images
        WHERE image_id IN (SELECT image_id FROM brought) AND NOT list_contains($units, shard_id)
    ), ingested AS (
        SELECT unit AS shard_id, min(seq) AS place FROM ledger WHERE stage = 'ingest' GROUP BY unit
    ), earlier AS MATERIALIZED (
        SELECT shard_id FROM ingested
        WHERE place < (SELECT min(place) FROM ingested WHERE list_contains($units, shard_id))
    )
    SELECT image_id, tag_id FROM brought
    EXCEPT
    SELECT e.image_id, e.tag_id
    FROM late JOIN tag_sources e USING (image_id) JOIN earlier USING (shard_id)
"""
# Images without an expectation hold no caption tag that the models have learned.
_BUDGET = """
    SELECT quantile_disc(coalesce(wrong, 0), 1 - $budget) AS least
    FROM current_images LEFT JOIN expected_wrong USING (image_id) WHERE split = 'train'
"""
_DOUBTFUL = """
    SELECT image_id FROM expected_wrong WHERE wrong > $least AND list_contains($images, image_id)
"""


@dataclass(frozen=True)
class _Found:
    """Detections of some images: parallel arrays, boxes xyxy in pixels."""

    rows: Ints
    columns: Ints
    boxes: Floats
    scores: Floats
    prompts: list[str | None]

    def only(self, places: Ints) -> _Found:
        """Some of them."""
        return _Found(
            self.rows[places], self.columns[places], self.boxes[places], self.scores[places],
            [self.prompts[place] for place in places],
        )  # fmt: skip


class Ground(Stage):
    """Finds regions for the tags that a shard brings, also of images of other shards."""

    name = "ground"
    version = 7
    doc = "candidate tags -> regions with boxes and features"
    reads = (
        "features", "images", "models", "mentions", "captions", "tag_scores", "thresholds",
        "labels", "label_surfaces",
    )  # fmt: skip
    writes = ("regions", "region_features", "verdicts", "rejects")
    inputs: ClassVar = {
        "candidates": f"{_BROUGHT} ORDER BY image_id, tag_id",
        "features": "SELECT f.image_id, i.fold_key, i.width, i.height, i.uri, i.name, "
        "f.positions, f.channels, f.map "
        "FROM current_features f JOIN current_images i USING (image_id) "
        f"WHERE i.split = 'train' AND image_id IN (SELECT image_id FROM ({_BROUGHT})) "
        "ORDER BY f.image_id",
        "labels": LABELS,
    }
    sections = ("ground",)

    def identity(self) -> dict[str, Any]:
        """Folds decide who judges whom, a detector's weights what it sees, an encoder crops."""
        config = self.config.ground
        encoder = self._encoder.digest if config.features == "crops" else None
        return {
            "folds": self.config.baseline.folds, "weights": weights_digest(config.weights),
            "encoder": encoder,
        }  # fmt: skip

    def check(self) -> None:
        """Look detector, weights and encoder up, so that mistakes are told before any work."""
        config = self.config.ground
        check_detector(config.detector, config.weights)
        if config.features == "crops":
            _ = self._encoder
        elif config.encoder:
            raise PlanError(
                f"ground.encoder {config.encoder}: only crops are looked at by an encoder of their "
                "own; add --set ground.features=crops, or leave it out"
            )

    @cached_property
    def _encoder(self) -> Encoder:
        config = self.config.encode
        return make_encoder(self.config.ground.encoder or config.encoder, config.threads)

    def setup(self, context: Context) -> None:
        """Load the fold models, their detectors and the encoder that regions are compared by."""
        (stored_by,) = context.query("SELECT DISTINCT encoder FROM current_features")[0].to_pylist()
        self.blocks = encoder_with(stored_by).last_blocks()
        self.taggers = load_taggers(context, "fold")
        labels = vocabulary_of(context.query(LABELS))
        self.asked = {
            fold: _asked(judge.vocabulary, labels) for fold, judge in self.taggers.items()
        }
        config = self.config.ground
        settings = DetectorSettings(config.weights, config.threshold, config.batch)
        self.detectors = {
            fold: make_detector(config.detector, judge.tagger, self.asked[fold].names, settings)
            for fold, judge in self.taggers.items()
        }
        # The images are ranked once, by what the lake knows before any is looked at.
        self.least: float | None = None
        if config.budget < 1:
            (self.least,) = context.query(_BUDGET, {"budget": config.budget})["least"].to_pylist()

    def run(self, batch: Batch, context: Context) -> Result:
        """Regions of all candidates, and verdicts for those that have none."""
        images, candidates = images_of(batch["features"]), batch["candidates"]
        folds = images.folds(self.config.baseline.folds)
        sources = batch["features"].select(["uri", "name", "width", "height"]).to_pylist()
        sizes = np.array([[row["width"], row["height"]] for row in sources], np.int64)
        rejects: list[dict[str, Any]] = []
        regions, features = [table_of("regions", [])], [table_of("region_features", [])]
        judged = np.isin(folds, list(self.taggers))
        looked_at = self._looked_at(images.ids, context) & judged
        for fold in sorted(set(folds[looked_at].tolist())):
            rows = np.flatnonzero((folds == fold) & looked_at)
            stored = images.features[rows]
            maps = self.taggers[fold].tagger.maps(stored)
            part = Images([images.ids[r] for r in rows], images.fold_keys[rows], maps)
            views = _views(part, [sources[row] for row in rows], rejects)
            found = self._detect(part, views, fold, candidates)
            if len(found.rows):
                table, pooled = self._tables(part, stored, views, sizes[rows], fold, found)
                regions.append(table)
                features.append(pooled)
        table = pa.concat_tables(regions)
        gone = {row["image_id"] for row in rejects}
        why = self._why(images, folds, looked_at, gone)
        version = batch["labels"].column(0)[0].as_py() if batch["labels"].num_rows else None
        missing = ungrounded(candidates, table, version, why)
        grounded = table.select(["image_id", "tag_id"]).group_by(["image_id", "tag_id"])
        kept = grounded.aggregate([]).num_rows + missing.num_rows
        rows_out = {
            "regions": table, "region_features": pa.concat_tables(features),
            "verdicts": missing, "rejects": table_of("rejects", rejects),
        }  # fmt: skip
        return Result(rows_out, {batch.unit: Counts(candidates.num_rows, kept)})

    def _looked_at(self, image_ids: list[str], context: Context) -> Bools:
        """Which images (N,) the budget is for."""
        if self.least is None:
            return np.ones(len(image_ids), bool)
        found = context.query(_DOUBTFUL, {"least": self.least, "images": image_ids})
        doubtful = set(found.column("image_id").to_pylist())
        return np.array([image_id in doubtful for image_id in image_ids], bool)

    def _why(
        self, images: Images, folds: Ints, looked_at: Bools, gone: set[str]
    ) -> Callable[[str, int], str]:
        """Why an image has no region of a tag: by the image, or by what detectors can look for."""
        of_image = dict(zip(images.ids, zip(folds.tolist(), looked_at, strict=True), strict=True))
        places = {
            fold: {tag_id: place for place, tag_id in enumerate(asked.tag_ids)}
            for fold, asked in self.asked.items()
        }

        def why(image_id: str, tag_id: int) -> str:
            fold, looked = of_image.get(image_id, (None, False))
            if fold is None:
                return NO_FEATURES
            if fold not in self.taggers:
                return NO_JUDGE
            if image_id in gone:
                return GONE
            if not looked:
                return BUDGET
            return self.detectors[fold].refuses(places[fold][tag_id]) or NOT_FOUND

        return why

    def _detect(
        self, part: Images, views: Sequence[View], fold: int, candidates: pa.Table
    ) -> _Found:
        vocabulary = self.asked[fold]
        own = columns_by_row(
            part.rows_of(candidates.column("image_id")),
            vocabulary.columns_of(candidates.column("tag_id")),
            len(part.ids),
        )
        detections = self.detectors[fold].detect(views, own)
        flat = [(row, found) for row, of_image in enumerate(detections) for found in of_image]
        return _Found(
            np.array([row for row, _ in flat], np.int64),
            np.array([found.label for _, found in flat], np.int64),
            np.array([found.box for _, found in flat], np.float32).reshape(-1, 4),
            np.array([found.score for _, found in flat], np.float32),
            [found.prompt for _, found in flat],
        )

    def _tables(
        self, part: Images, stored: Halves, views: Sequence[View], sizes: Ints, fold: int,
        found: _Found,
    ) -> tuple[pa.Table, pa.Table]:  # fmt: skip
        judge, asked = self.taggers[fold], self.asked[fold]
        scale = np.tile(sizes[found.rows], 2).astype(np.float32)
        relative: Floats = np.divide(found.boxes, scale, dtype=np.float32)
        if self.config.ground.features == "crops":
            features, seen = self._crops(views, found.rows, relative)
            found, relative = found.only(seen), relative[seen]
            if not len(seen):  # all their pictures are gone
                return table_of("regions", []), table_of("region_features", [])
        else:
            # Regions of one tag are compared over all folds, so one encoder looks at them all.
            features = pool_regions(self.blocks.maps(stored), found.rows, relative)
        count, learned = len(found.rows), len(judge.vocabulary)
        scores = np.full((count, len(asked)), np.nan, np.float32)
        scores[:, :learned] = region_scores(judge.tagger, part.features, found.rows, relative)
        other, other_score = _strongest_other(scores, found.columns, asked)
        tag_ids = np.array(asked.tag_ids, np.int32)
        versions = np.where(found.columns < learned, judge.vocabulary.version, asked.version)
        image_ids = pa.array(part.ids, pa.string()).take(pa.array(found.rows))
        columns: dict[str, Any] = {
            "image_id": image_ids,
            "label_version": pa.array(versions.tolist(), pa.string()),
            "tag_id": tag_ids[found.columns],
            "score": found.scores,
            "detector": constant(self.config.ground.detector, count, pa.string()),
            "prompt": pa.array(found.prompts, pa.string()),
            "fold": constant(fold, count, pa.int32()),
            "tag_score": pa.array(scores[np.arange(count), found.columns], from_pandas=True),
            "other_tag_id": tag_ids[other],
            "other_score": pa.array(other_score, from_pandas=True),
        }
        columns |= {name: found.boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))}
        columns["region_id"] = [
            digest([image, int(tag), judge.digest, [round(float(edge), 2) for edge in box]])
            for image, tag, box in zip(
                image_ids.to_pylist(), columns["tag_id"], found.boxes, strict=True
            )
        ]
        columns["feature"] = blobs_of(features.astype(np.float16))
        return table_of("regions", columns), table_of("region_features", columns)

    def _crops(self, views: Sequence[View], rows: Ints, relative: Floats) -> tuple[Floats, Ints]:
        """Features (S, C) of the regions whose pictures can be read, and which (S,) these are.

        Each picture is decoded once; `rows` come in order.
        """
        seen: list[Ints] = []

        def crops() -> Iterator[Image.Image]:
            for row in np.unique(rows):
                picture = views[row].picture()
                if picture is not None:
                    seen.append(np.flatnonzero(rows == row))
                    yield from cut(picture, relative[seen[-1]])

        features = crop_features(self._encoder, crops())
        return features, np.concatenate(seen) if seen else np.zeros(0, np.int64)


def _views(
    part: Images, sources: Sequence[Mapping[str, Any]], rejects: list[dict[str, Any]]
) -> list[View]:
    """What detectors see of some images; a picture that cannot be read any more goes to rejects."""

    def read(image_id: str, source: Mapping[str, Any]) -> Image.Image | None:
        try:
            return load_image(picture_bytes(image_id, source["uri"]))
        except (OSError, ModelError, SourceError) as error:
            rejects.append(
                {"stage": "ground", "item": source["name"], "uri": source["uri"],
                 "image_id": image_id, "reason": VANISHED, "detail": str(error)}
            )  # fmt: skip
            return None

    return [
        View(features, (source["width"], source["height"]), partial(read, image_id, source))
        for image_id, features, source in zip(part.ids, part.features, sources, strict=True)
    ]


def _asked(learned: Vocabulary, labels: Vocabulary) -> Vocabulary:
    """The tags that a model has learned, and after them all others in use."""
    known = set(learned.tag_ids)
    others = labels.subset(np.array([tag_id not in known for tag_id in labels.tag_ids], bool))
    return Vocabulary(
        labels.version, learned.tag_ids + others.tag_ids, learned.names + others.names,
        learned.kinds + others.kinds,
    )  # fmt: skip


def _strongest_other(scores: Floats, own: Ints, asked: Vocabulary) -> tuple[Ints, Floats]:
    """For each region the best-scored other tag of the same kind as its own: a likely confusion."""
    kinds = np.array(asked.kinds)
    rivals = np.where(kinds[own][:, None] == kinds[None, :], np.nan_to_num(scores, nan=-1.0), -1.0)
    rows = np.arange(len(own))
    rivals[rows, own] = -1.0
    best = rivals.argmax(axis=1)
    # A tag that is the only one of its kind has no rival; it is its own.
    best = np.where(rivals[rows, best] < 0, own, best)
    return best, scores[rows, best].astype(np.float32)
