"""Clean: every rule gives a verdict on every (image, tag) that has a region; nothing is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.windows import floats
from pipeline.columns import Floats, Halves, array_of, constant, table_of
from pipeline.dataset import Ints
from pipeline.errors import PlanError
from pipeline.regions import Regions, unit
from pipeline.rules import find_rule
from pipeline.rules.base import Bools, Opinions, TagEvidence
from pipeline.rules.noise import CERTAIN, PRIOR_SHARE
from pipeline.stage import Batch, Context, Counts, Result, Stage

HELD = 32_768
"""Regions whose features are in memory at once; a tag that has more is streamed."""
FEATURES = """
    SELECT region_id, feature FROM current_region_features WHERE list_contains($tags, tag_id)
"""
SAMPLE = f"{FEATURES} AND region_id IN (SELECT unnest($sample))"

UNLEARNED = "the model that judges this image has not learned the tag: left alone"
NOT_KEPT = "the score of the whole image was not kept (generate.keep_scores): left alone"

Batches = Callable[[str, Mapping[str, Any]], Iterator[pa.RecordBatch]]
"""Runs a query whose result is streamed (`Lake.batches`)."""


class Clean(Stage):
    """Works per tag: a tag whose regions did not change is not judged again."""

    name = "clean"
    version = 11
    doc = "regions -> verdicts per image and tag"
    unit = "tag"
    group = HELD
    reads = ("regions", "region_features", "tag_scores", "thresholds", "labels", "models")
    writes = ("verdicts",)
    seeded = True
    inputs: ClassVar = {
        "regions": """
            WITH candidates AS MATERIALIZED (
                SELECT image_id, tag_id, in_caption FROM candidate_tags
                WHERE image_id IN (
                    SELECT image_id FROM current_regions
                    WHERE list_contains($units, tag_id::VARCHAR)
                )
            )
            SELECT DISTINCT ON (r.region_id) r.region_id, r.image_id, r.label_version, r.tag_id,
                   r.tag_score, r.other_score, o.name AS other_name,
                   coalesce(c.in_caption, false) AS in_caption,
                   coalesce(d.in_caption, false) AND r.other_tag_id <> r.tag_id AS other_said
            FROM current_regions r
            JOIN (SELECT region_id FROM current_region_features) f USING (region_id)
            JOIN current_labels o ON o.tag_id = r.other_tag_id
            LEFT JOIN candidates c ON c.image_id = r.image_id AND c.tag_id = r.tag_id
            LEFT JOIN candidates d ON d.image_id = r.image_id AND d.tag_id = r.other_tag_id
            WHERE list_contains($units, r.tag_id::VARCHAR) AND r.tag_score IS NOT NULL
            ORDER BY r.tag_id, r.image_id, r.region_id
        """,
        "unlearned": """
            SELECT tag_id, image_id, min(label_version) AS label_version,
                   min(region_id) AS region_id
            FROM current_regions
            WHERE list_contains($units, tag_id::VARCHAR) AND tag_score IS NULL
            GROUP BY tag_id, image_id ORDER BY tag_id, image_id
        """,
        "scores": """
            SELECT s.tag_id, s.image_id, s.score, c.image_id IS NOT NULL AS carried
            FROM current_tag_scores s
            LEFT JOIN candidate_tags c ON c.image_id = s.image_id AND c.tag_id = s.tag_id
            WHERE list_contains($units, s.tag_id::VARCHAR)
            ORDER BY s.tag_id, s.image_id
        """,
        # The same for all units, whichever are judged together.
        "learned": "SELECT coalesce(avg(slope), 1.0) AS slope, "
        f"coalesce(avg(certain), {CERTAIN}) AS certain, "
        f"coalesce(avg(noise), {PRIOR_SHARE}) AS noise, "
        "coalesce((SELECT avg(look) FROM current_models WHERE role = 'fold'), 0.0) AS look FROM ("
        "SELECT DISTINCT fold, slope, certain, noise FROM current_thresholds)",
        "labels": "SELECT tag_id, name, kind FROM current_labels "
        "WHERE list_contains($units, tag_id::VARCHAR) ORDER BY tag_id",
    }
    sections = ("clean",)

    def check(self) -> None:
        """Look the rules up, so that an unknown name is told before any work."""
        for name in self.config.clean.rules:
            find_rule(name)

    def setup(self, context: Context) -> None:
        """Look the rules up, and the tags that they spare: a name that none has spares nothing.

        Raises:
            PlanError: there is no such rule or tag.
        """
        self.rules = {name: find_rule(name) for name in self.config.clean.rules}
        if spare := self.config.clean.spare:
            names = context.query("SELECT DISTINCT name FROM current_labels").column(0).to_pylist()
            if unknown := sorted(set(spare) - set(names)):
                raise PlanError(
                    f"clean.spare: no tag is called {', '.join(map(repr, unknown))}; "
                    "`tagwright labels show NAME` tells what it is now"
                )

    def run(self, batch: Batch, context: Context) -> Result:
        """One verdict per image, tag and rule."""
        nothing = table_of("verdicts", [])
        tables = [nothing.append_column("unit", pa.array([], pa.string()))]
        counts = dict.fromkeys(batch.units, Counts(0, 0))
        batch, not_kept = with_scores(batch)
        for tag_id, version, evidence in tags_of(batch, context.batches):
            kept = np.ones(evidence.images, bool)
            for name, rule in self.rules.items():
                opinions = rule(evidence, self.config.clean, self.config.seed)
                kept &= ~opinions.drop
                tables.append(_verdicts(tag_id, version, name, evidence, opinions))
            total = int(kept.sum())
            counts[str(tag_id)] = Counts(evidence.images, total, evidence.images - total)
        left = [row | {"reason": UNLEARNED} for row in batch["unlearned"].to_pylist()]
        left += [row | {"reason": NOT_KEPT} for row in not_kept]
        tables += [_unjudged(name, left) for name in self.rules]
        for row in left:
            unit = str(row["tag_id"])
            counts[unit] = replace(
                counts[unit], n_in=counts[unit].n_in + 1, kept=counts[unit].kept + 1
            )
        return Result({"verdicts": pa.concat_tables(tables)}, counts)


def with_scores(batch: Batch) -> tuple[Batch, list[dict[str, Any]]]:
    """A batch with the regions whose images have a stored score of the tag, and the other pairs.

    Of these a later caption said what had seemed so unlikely that the score was not kept.
    """
    regions, scores = batch["regions"], batch["scores"]
    images = scores.column("image_id").unique()
    pairs = [
        pc.index_in(table.column("image_id"), images).fill_null(-1).to_numpy().astype(np.int64)
        * 2**31 + table.column("tag_id").to_numpy()
        for table in (regions, scores)
    ]  # fmt: skip
    scored: Bools = np.isin(*pairs)
    by_pair = regions.filter(~scored).group_by(
        ["tag_id", "image_id", "label_version"], use_threads=False
    )
    rest = by_pair.aggregate([("region_id", "min")]).rename_columns({"region_id_min": "region_id"})
    return replace(batch, tables={**batch.tables, "regions": regions.filter(scored)}), (
        rest.to_pylist()
    )


def _unjudged(rule: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Tags whose regions no rule can weigh, for the reason that a row says."""
    nothing = {"score": float("nan"), "threshold": float("nan")}
    judged = [row | nothing | {"rule": rule, "verdict": "keep"} for row in rows]
    units = pa.array([str(row["tag_id"]) for row in rows], pa.string())
    return table_of("verdicts", judged).append_column("unit", units)


def _verdicts(
    tag_id: int, version: str, rule: str, evidence: TagEvidence, opinions: Opinions
) -> pa.Table:
    count = evidence.images
    return table_of(
        "verdicts",
        {
            "unit": constant(str(tag_id), count, pa.string()),
            "image_id": evidence.image_ids,
            "label_version": constant(version, count, pa.string()),
            "tag_id": constant(tag_id, count, pa.int32()),
            "rule": constant(rule, count, pa.string()),
            "verdict": np.where(opinions.drop, "drop", "keep"),
            "score": opinions.scores,
            "threshold": constant(opinions.threshold, count, pa.float32()),
            "reason": opinions.reasons,
            "region_id": pa.array(evidence.region_ids).take(pa.array(opinions.regions)),
        },
    )


def tags_of(batch: Batch, batches: Batches) -> Iterator[tuple[int, str, TagEvidence]]:
    """The evidence of each tag that has regions, with its ID and label version.

    `batch` is one of `with_scores`. Features come in any order and cut; each is put in its region's
    place, which the IDs decide.
    """
    regions, scores = batch["regions"], batch["scores"]
    of_region = regions.column("tag_id").to_numpy()
    of_score = scores.column("tag_id").to_numpy()
    parts: list[tuple[dict[str, Any], pa.Table, pa.Table]] = []
    for label in batch["labels"].to_pylist():
        low, high = np.searchsorted(of_region, [label["tag_id"], label["tag_id"] + 1])
        first, last = np.searchsorted(of_score, [label["tag_id"], label["tag_id"] + 1])
        if low < high:
            part = regions.slice(low, high - low), scores.slice(first, last - first)
            parts.append((label, *part))
    held = _held({label["tag_id"]: part for label, part, _ in parts}, batches)
    (learned,) = batch["learned"].to_pylist()
    for label, part, of_tag in parts:
        tag_id = label["tag_id"]
        ids = part.column("region_id").to_pylist()
        features = (
            floats(held.pop(tag_id)).numpy() if tag_id in held else Streamed(tag_id, ids, batches)
        )
        yield (
            tag_id,
            part.column("label_version")[0].as_py(),
            _evidence(label, part, of_tag, ids, features, learned),
        )


class Streamed(Regions):
    """Features of a tag with more regions than are held, read from the lake as often as asked."""

    def __init__(self, tag_id: int, region_ids: list[str], batches: Batches) -> None:
        self._tags, self._ids, self._batches = [tag_id], region_ids, batches

    def __len__(self) -> int:
        return len(self._ids)

    def sample(self, most: int) -> Floats:
        """See `Regions`; IDs are digests, so their order is as good as drawn."""
        ids = sorted(self._ids)
        chosen = ids[:: -(-len(ids) // most)]
        found: dict[str, Halves] = {}
        for batch in self._batches(SAMPLE, {"tags": self._tags, "sample": chosen}):
            found |= zip(batch.column("region_id").to_pylist(), _features(batch), strict=True)
        return unit(np.stack([found[region_id] for region_id in chosen]).astype(np.float32))

    def blocks(self) -> Iterator[tuple[Ints, Floats]]:
        """See `Regions`."""
        place = {region_id: row for row, region_id in enumerate(self._ids)}
        for batch in self._batches(FEATURES, {"tags": self._tags}):
            ids = batch.column("region_id").to_pylist()
            rows = np.array([place.get(region_id, -1) for region_id in ids], np.int64)
            known = rows >= 0  # others are of another label version, or not scored
            # Torch converts faster, but thousands of its aligned buffers leave the heap in pieces.
            if known.any():
                yield rows[known], unit(_features(batch)[known].astype(np.float32))


def _held(parts: Mapping[int, pa.Table], batches: Batches) -> dict[int, Halves]:
    """Features (R, D) of the tags that have no more than `HELD` regions, read in one go."""
    small = {tag_id: part for tag_id, part in parts.items() if part.num_rows <= HELD}
    place = {
        region_id: (tag_id, row)
        for tag_id, part in small.items()
        for row, region_id in enumerate(part.column("region_id").to_pylist())
    }
    features: dict[int, Halves] = {}
    for batch in batches(FEATURES, {"tags": list(small)}):
        for region_id, feature in zip(
            batch.column("region_id").to_pylist(), _features(batch), strict=True
        ):
            if region_id not in place:  # of another label version
                continue
            tag_id, row = place[region_id]
            if tag_id not in features:
                features[tag_id] = np.empty((small[tag_id].num_rows, len(feature)), np.float16)
            features[tag_id][row] = feature
    return features


def _features(batch: pa.RecordBatch) -> Halves:
    blobs = pa.chunked_array([batch.column("feature")])
    return array_of(blobs, (len(blobs[0].as_py()) // 2,))


def _evidence(
    label: dict[str, Any],
    regions: pa.Table,
    scores: pa.Table,
    ids: list[str],
    features: Floats | Regions,
    learned: Mapping[str, float],
) -> TagEvidence:
    # Rows are sorted by image, so IDs are numbered in their order.
    images = regions.column("image_id").combine_chunks().dictionary_encode()
    image_ids = images.dictionary.to_pylist()
    of_image = images.indices.to_numpy().astype(np.int64)
    in_caption = np.zeros(len(image_ids), bool)
    in_caption[of_image] = regions.column("in_caption").to_numpy(zero_copy_only=False)
    place = {image_id: row for row, image_id in enumerate(scores.column("image_id").to_pylist())}
    rows = np.array([place[image_id] for image_id in image_ids])
    values = scores.column("score").to_numpy().astype(np.float32)
    carried = scores.column("carried").to_numpy(zero_copy_only=False).astype(bool)
    unseen = carried.copy()
    unseen[rows] = False
    return TagEvidence(
        name=label["name"],
        kind=label["kind"],
        image_ids=image_ids,
        in_caption=in_caption,
        image_scores=values[rows],
        unseen_scores=values[unseen],
        absent_scores=values[~carried],
        slope=learned["slope"],
        certain=learned["certain"],
        noise=learned["noise"],
        look=learned["look"],
        of_image=of_image,
        region_ids=ids,
        features=features,
        region_scores=regions.column("tag_score").to_numpy(),
        other_scores=regions.column("other_score").to_numpy(),
        other_names=regions.column("other_name").to_pylist(),
        other_said=regions.column("other_said").to_numpy(zero_copy_only=False).astype(bool),
    )
