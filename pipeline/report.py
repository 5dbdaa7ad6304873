"""The HTML report: what the cycle did, in figures and in pictures; one file, no network."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from model.errors import ModelError
from model.images import load_image
from pipeline.certificate import certificate
from pipeline.errors import PlanError, SourceError
from pipeline.readers import read_uri
from storage.lake import Lake

THUMB = 360
PICTURES = 18

# Pictures where most happened come first; ties break by id, so the same lake gives the same page.
_CHOSEN = """
    WITH changed AS (
        SELECT c.image_id, count(*) FILTER (t.tag_id IS NULL) AS dropped,
               count(*) FILTER (NOT c.in_caption AND t.tag_id IS NOT NULL) AS added
        FROM candidate_tags c
        LEFT JOIN tags t ON t.image_id = c.image_id AND t.tag_id = c.tag_id
        WHERE c.split = 'train' GROUP BY c.image_id
    )
    SELECT image_id, i.name, i.uri, i.width, i.height, dropped, added
    FROM changed JOIN current_images i USING (image_id)
    ORDER BY least(dropped, 2) + least(added, 3) DESC, image_id LIMIT $pictures
"""
_TAGS = """
    SELECT c.image_id, c.tag_id, c.name, c.kind, c.sources, c.in_caption, c.score,
           t.tag_id IS NOT NULL AS kept,
           (SELECT string_agg(v.rule || ': ' || v.reason, '; ' ORDER BY v.rule)
            FROM current_verdicts v
            JOIN tag_ids f ON f.label_version = v.label_version AND f.made_as = v.tag_id
            WHERE v.image_id = c.image_id AND f.tag_id = c.tag_id AND v.verdict = 'drop') AS reason,
           (SELECT coalesce(bool_or(s.tag_id = c.tag_id), false) FROM current_truth u
            LEFT JOIN current_label_surfaces s
              ON s.surface = u.name OR list_contains(u.synonyms, s.surface)
            WHERE u.image_id = c.image_id HAVING count(*) > 0) AS is_true
    FROM candidate_tags c
    LEFT JOIN tags t ON t.image_id = c.image_id AND t.tag_id = c.tag_id
    WHERE list_contains($images, c.image_id)
    ORDER BY c.image_id, kept DESC, c.in_caption DESC, c.name
"""
_REGIONS = """
    SELECT DISTINCT ON (r.image_id, f.tag_id)
           r.image_id, f.tag_id, r.x1, r.y1, r.x2, r.y2, r.tag_score AS score
    FROM current_regions r
    JOIN tag_ids f ON f.label_version = r.label_version AND f.made_as = r.tag_id
    WHERE list_contains($images, r.image_id)
    ORDER BY r.image_id, f.tag_id, r.tag_score DESC, r.x1, r.y1
"""
_CAPTIONS = """
    SELECT image_id, text, source FROM current_captions WHERE list_contains($images, image_id)
    ORDER BY source DESC, text
"""
_TOTALS = """
    SELECT stage, count(*) AS units, sum(n_in)::BIGINT AS n_in, sum(n_kept)::BIGINT AS kept,
           sum(n_dropped)::BIGINT AS dropped, sum(n_rejected)::BIGINT AS rejected,
           sum(n_in - n_kept - n_dropped - n_rejected)::BIGINT AS balance,
           round(sum(seconds), 1) AS seconds
    FROM current_ledger WHERE n_in > 0 GROUP BY stage ORDER BY min(seq)
"""
_STATS = "SELECT * EXCLUDE (tag_id) FROM tag_stats LIMIT 40"
_DROPPED = """
    SELECT name, kind, candidates, dropped, round(dropped / candidates, 3) AS share
    FROM tag_stats WHERE dropped > 0 ORDER BY share DESC, dropped DESC, name LIMIT 20
"""
_DECISIONS = """
    SELECT p.decision, p.reason, p.model_digest FROM ledger l JOIN promotions p USING (work_id)
    QUALIFY row_number() OVER (PARTITION BY work_id ORDER BY l.seq DESC) = 1
    ORDER BY l.seq DESC LIMIT 3
"""
_REJECTS = "SELECT stage, item, reason, detail FROM current_rejects ORDER BY ALL LIMIT 50"


def write_report(
    lake: Lake, out: Path, *, steps: Sequence[dict[str, Any]] = (), title: str = "Tagwright report"
) -> None:
    """Write the report of a lake's current state to the file `out`.

    `steps` is the before/after table of a run whose truth is known.

    Raises:
        PlanError: `out` is a folder.
    """
    if out.is_dir():
        raise PlanError(f"{out}: is a folder; name a file, such as {out / 'report.html'}")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    environment.filters["interval"] = _interval
    page = environment.get_template("report.html").render(
        title=title,
        steps=steps,
        bars=_bars(steps),
        totals=lake.query(_TOTALS).to_pylist(),
        stats=lake.query(_STATS).to_pylist(),
        dropped=lake.query(_DROPPED).to_pylist(),
        decisions=lake.query(_DECISIONS).to_pylist(),
        certificate=found.to_dict() if (found := certificate(lake)) else None,
        rejects=lake.query(_REJECTS).to_pylist(),
        pictures=_pictures(lake),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(out)


def _figure(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _interval(value: dict[str, float]) -> str:
    if math.isnan(value["estimate"]):
        return "–"
    return f"{value['estimate']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


def _bars(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bars of the before/after chart: position and height in a 0 to 1 square."""
    bars = []
    for group, row in enumerate(steps):
        for place, name in enumerate(("precision", "recall", "mAP")):
            if row[name] is not None:
                bars.append({"group": group, "place": place, "name": name, "value": row[name]})
    return bars


def _pictures(lake: Lake) -> list[dict[str, Any]]:
    chosen = lake.query(_CHOSEN, {"pictures": PICTURES}).to_pylist()
    images = {"images": [row["image_id"] for row in chosen]}
    tags = _grouped(lake.query(_TAGS, images).to_pylist())
    regions = _grouped(lake.query(_REGIONS, images).to_pylist())
    captions = _grouped(lake.query(_CAPTIONS, images).to_pylist())
    pictures = []
    for row in chosen:
        picture = _thumbnail(row["uri"])
        if picture is None:
            continue
        of_image = tags.get(row["image_id"], [])
        boxes = {region["tag_id"]: region for region in regions.get(row["image_id"], [])}
        for number, tag in enumerate(of_image):
            tag["box"] = boxes.get(tag["tag_id"])
            tag["hue"] = (number * 137) % 360  # the golden angle keeps neighbours apart
        pictures.append(
            row | {"data": picture, "tags": of_image, "captions": captions.get(row["image_id"], [])}
        )
    return pictures


def _grouped(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["image_id"], []).append(row)
    return groups


def _thumbnail(uri: str) -> str | None:
    """The picture as a data URI, or None when it is gone: the report does without it."""
    try:
        picture = load_image(read_uri(uri))
    except (OSError, SourceError, ModelError):
        return None
    picture.thumbnail((THUMB, THUMB))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
