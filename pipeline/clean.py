"""Clean: every rule gives a verdict on every (image, tag) that has a region; nothing is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from pipeline.columns import array_of, table_of
from pipeline.rules import find_rule
from pipeline.rules.base import TagEvidence
from pipeline.stage import Batch, Context, Counts, Result, Stage


class Clean(Stage):
    """Works per tag: a tag whose regions did not change is not judged again."""

    name = "clean"
    version = 2
    doc = "regions -> verdicts per image and tag"
    unit = "tag"
    group = 64
    reads = ("regions", "region_features", "tag_scores", "labels")
    writes = ("verdicts",)
    seeded = True
    inputs: ClassVar = {
        "regions": """
            SELECT DISTINCT ON (r.region_id) r.region_id, r.image_id, r.label_version, r.tag_id,
                   r.tag_score, r.other_score, o.name AS other_name, f.feature
            FROM current_regions r
            JOIN current_region_features f USING (region_id)
            JOIN current_labels o ON o.tag_id = r.other_tag_id
            WHERE list_contains($units, r.tag_id::VARCHAR)
            ORDER BY r.tag_id, r.image_id, r.region_id
        """,
        "scores": """
            SELECT s.tag_id, s.image_id, s.score, c.image_id IS NOT NULL AS carried,
                   coalesce(c.in_caption, false) AS in_caption
            FROM current_tag_scores s
            LEFT JOIN candidate_tags c ON c.image_id = s.image_id AND c.tag_id = s.tag_id
            WHERE list_contains($units, s.tag_id::VARCHAR)
            ORDER BY s.tag_id, s.image_id
        """,
        "labels": "SELECT tag_id, name, kind FROM current_labels "
        "WHERE list_contains($units, tag_id::VARCHAR) ORDER BY tag_id",
    }
    sections = ("clean",)

    def setup(self, context: Context) -> None:
        """Look the rules up, so that an unknown name is told before any work."""
        self.rules = {name: find_rule(name) for name in self.config.clean.rules}

    def run(self, batch: Batch, context: Context) -> Result:
        """One verdict per image, tag and rule."""
        rows: list[dict[str, Any]] = []
        counts = {}
        for tag_id, version, evidence in tags_of(batch):
            kept = np.ones(evidence.images, bool)
            for name, rule in self.rules.items():
                opinions = rule(evidence, self.config.clean, self.config.seed)
                kept &= np.array([opinion.verdict == "keep" for opinion in opinions])
                rows += [
                    {
                        "unit": str(tag_id), "image_id": image_id, "label_version": version,
                        "tag_id": tag_id, "rule": name, "verdict": o.verdict, "score": o.score,
                        "threshold": o.threshold, "reason": o.reason,
                        "region_id": evidence.region_ids[o.region],
                    }
                    for image_id, o in zip(evidence.image_ids, opinions, strict=True)
                ]  # fmt: skip
            total = int(kept.sum())
            counts[str(tag_id)] = Counts(evidence.images, total, evidence.images - total)
        table = table_of("verdicts", rows)
        table = table.append_column("unit", pa.array([r["unit"] for r in rows], pa.string()))
        return Result({"verdicts": table}, counts)


def tags_of(batch: Batch) -> Iterator[tuple[int, str, TagEvidence]]:
    regions, scores = batch["regions"], batch["scores"]
    of_region = regions.column("tag_id").to_numpy()
    of_score = scores.column("tag_id").to_numpy()
    for label in batch["labels"].to_pylist():
        low, high = np.searchsorted(of_region, [label["tag_id"], label["tag_id"] + 1])
        if low == high:
            continue
        first, last = np.searchsorted(of_score, [label["tag_id"], label["tag_id"] + 1])
        version = regions.column("label_version")[int(low)].as_py()
        part = regions.slice(low, high - low)
        yield label["tag_id"], version, _evidence(label, part, scores.slice(first, last - first))


def _evidence(label: dict[str, Any], regions: pa.Table, scores: pa.Table) -> TagEvidence:
    image_ids, of_image = np.unique(
        np.array(regions.column("image_id").to_pylist()), return_inverse=True
    )
    feature = regions.column("feature")
    channels = len(feature[0].as_py()) // 2
    place = {image_id: row for row, image_id in enumerate(scores.column("image_id").to_pylist())}
    values = scores.column("score").to_numpy().astype(np.float32)
    in_caption = scores.column("in_caption").to_numpy(zero_copy_only=False)
    rows = np.array([place.get(image_id, -1) for image_id in image_ids])
    carried = scores.column("carried").to_numpy(zero_copy_only=False)
    return TagEvidence(
        name=label["name"],
        kind=label["kind"],
        image_ids=image_ids.tolist(),
        in_caption=np.where(rows >= 0, in_caption[rows], False) if len(place) else rows >= 0,
        image_scores=np.where(rows >= 0, values[rows], 0.0).astype(np.float32),
        absent_scores=values[~carried],
        of_image=of_image.astype(np.int64),
        region_ids=regions.column("region_id").to_pylist(),
        features=array_of(feature, (channels,)).astype(np.float32),
        region_scores=regions.column("tag_score").to_numpy(),
        other_scores=regions.column("other_score").to_numpy(),
        other_names=regions.column("other_name").to_pylist(),
    )
