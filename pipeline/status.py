"""What the lake holds, how far the cycle is, and why an image has a tag."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipeline.errors import PlanError
from storage.lake import Lake

_STATUS = """
    SELECT
        (SELECT count(*) FROM current_images) AS images,
        (SELECT count(*) FROM current_captions WHERE source = 'original') AS captions,
        (SELECT count(*) FROM current_captions WHERE source = 'generated') AS generated_captions,
        (SELECT count(*) FROM current_labels) AS tag_ids,
        (SELECT count(*) FROM candidate_tags) AS candidate_tags,
        (SELECT count(*) FROM tags) AS tags,
        (SELECT count(*) FROM current_rejects) AS rejects,
        (SELECT count(*) FROM shard_balance WHERE balance <> 0) AS unbalanced,
        (SELECT max(snapshot_id) FROM lake.snapshots()) AS snapshot
"""
_STAGES = """
    SELECT stage, count(*) AS units, sum(n_in)::BIGINT AS n_in, sum(n_kept)::BIGINT AS kept,
           sum(n_dropped)::BIGINT AS dropped, sum(n_rejected)::BIGINT AS rejected,
           round(sum(seconds), 1) AS seconds
    FROM current_ledger WHERE n_in > 0 GROUP BY stage ORDER BY min(seq)
"""
_RUNS = """
    SELECT run_id, any_value(command) AS command, min(recorded_at) AS started,
           max(recorded_at) FILTER (state <> 'started') AS ended,
           coalesce(max(state) FILTER (state <> 'started'), 'interrupted or running') AS state,
           max(detail) AS detail
    FROM runs GROUP BY run_id ORDER BY started DESC LIMIT 5
"""
_SERVICE = """
    SELECT decision, reason, model_digest, publication_id FROM current_promotions
"""


def status_of(lake: Lake) -> dict[str, Any]:
    """Counts, stages, recent runs and what is in service."""
    (totals,) = lake.query(_STATUS).to_pylist()
    return {
        "lake": str(lake.path),
        **totals,
        "stages": lake.query(_STAGES).to_pylist(),
        "runs": lake.query(_RUNS).to_pylist(),
        "in_service": next(iter(lake.query(_SERVICE).to_pylist()), None),
    }


def tag_stats(lake: Lake) -> pa.Table:
    """Every tag with its counts, the most frequent first."""
    return lake.query("SELECT * FROM tag_stats")


def find_image(lake: Lake, image: str) -> dict[str, Any]:
    """The image with that id, start of an id, or name.

    Raises:
        PlanError: there is none, or several.
    """
    found = lake.query(
        "SELECT image_id, name, uri, width, height, split FROM current_images "
        "WHERE name = $image OR starts_with(image_id, $image) "
        "ORDER BY name = $image DESC, image_id LIMIT 2",
        {"image": image},
    ).to_pylist()
    # A name may also be how another image's id begins.
    found = [row for row in found if row["name"] == image] or found
    if len(found) != 1:
        what = "several images fit" if found else "no such image"
        raise PlanError(f"{image}: {what}; give its name or its id (see current_images)")
    return dict(found[0])


def why_of(lake: Lake, image: str, tag: str) -> dict[str, Any]:
    """Evidence, regions and verdicts for one tag of one image.

    Raises:
        PlanError: no such image, or no such surface form in the label system.
    """
    row = find_image(lake, image)
    labels = lake.query(
        "SELECT DISTINCT l.tag_id, l.name, l.kind FROM current_labels l "
        "JOIN current_label_surfaces s USING (tag_id) WHERE s.surface = lower($tag) "
        "ORDER BY l.tag_id",
        {"tag": tag},
    ).to_pylist()
    if not labels:
        raise PlanError(
            f"{tag}: not a surface form of the label system; see "
            '`tagwright sql "SELECT * FROM current_label_surfaces"`'
        )
    return {"image": row, "tags": [_chain(lake, row["image_id"], label) for label in labels]}


def _chain(lake: Lake, image_id: str, label: dict[str, Any]) -> dict[str, Any]:
    of = {"image": image_id, "tag": label["tag_id"]}
    where = "WHERE image_id = $image AND tag_id = $tag"
    made_as = (
        "WHERE image_id = $image AND (label_version, tag_id) IN "
        "(SELECT label_version, made_as FROM tag_ids WHERE tag_ids.tag_id = $tag)"
    )
    evidence = lake.query(
        "SELECT e.source, e.score, e.surface, e.start, e.end, c.text AS caption, e.model_digest, "
        "e.depth FROM tag_evidence e LEFT JOIN current_captions c USING (caption_id) "
        f"{where.replace('image_id', 'e.image_id')} ORDER BY e.depth, e.source, caption",
        of,
    )
    regions = lake.query(
        "SELECT DISTINCT region_id, x1, y1, x2, y2, score, tag_score, detector "
        f"FROM current_regions {made_as} ORDER BY tag_score DESC, region_id",
        of,
    )
    verdicts = lake.query(
        f"SELECT rule, verdict, score, threshold, reason FROM current_verdicts {made_as} "
        "ORDER BY rule, verdict, score",
        of,
    )
    kept = lake.scalar(f"SELECT count(*) FROM tags {where}", of)
    state = "kept" if kept else ("dropped" if evidence.num_rows else "not a candidate")
    return {
        **label, "state": state, "evidence": evidence.to_pylist(),
        "regions": regions.to_pylist(), "verdicts": verdicts.to_pylist(),
    }  # fmt: skip
