"""The whole cycle on scenes whose truth is known: is every step worth what it should be worth?

Per seed: what parser and label system get right, what generation finds and how surely, what
cleaning removes and what that costs beside its peers, at their own cut and where all lose as much,
where boxes lie, and what a tagger is worth that each step's tags train. `--set wrong=0.2` and the
like change the faults (`SceneConfig`).
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.given import number
from bench.language import score_language
from bench.peers import ours, peers
from bench.ranking import Bools, Pair, as_row, compare
from pipeline.config import Config
from pipeline.demo import demo_config, run_demo
from pipeline.errors import PlanError
from pipeline.reporting import Quiet
from pipeline.scoring import TAG_SETS, TRUTH, UNCLEAR, score_tags
from pipeline.work import cores
from storage.lake import Lake

SCENES = 1600
COLUMNS = ("precision", "recall", "mAP")
STEPS = {
    "parsed": "parsing", "+ generated": "generation", "+ cleaned": "cleaning",
    "retrained, fine-tuned": "fine_tuning",
}  # fmt: skip
LEAST_SIDE = 0.25
"""Of an image's side; smaller things are not asked for their box."""

_NAMED = f"SELECT DISTINCT image_id, tag_id FROM ({TRUTH}) WHERE tag_id IS NOT NULL"
_JUDGED = f"""
    SELECT c.image_id, c.tag_id, c.in_caption, n.tag_id IS NOT NULL AS is_right
    FROM candidate_tags c
    LEFT JOIN ({_NAMED}) n ON n.image_id = c.image_id AND n.tag_id = c.tag_id
    WHERE c.split = 'train' AND c.image_id IN (SELECT image_id FROM current_truth)
      AND (c.image_id, c.tag_id) NOT IN ({UNCLEAR})
"""
_MISSING = f"""
    SELECT count(DISTINCT (t.image_id, t.name, t.kind)) AS missing
    FROM ({TRUTH}) t
    WHERE (t.image_id, t.name, t.kind) NOT IN (
        SELECT (u.image_id, u.name, u.kind) FROM ({TRUTH}) u
        JOIN candidate_tags c ON c.image_id = u.image_id AND c.tag_id = u.tag_id AND c.in_caption
    )
"""
# The surest region of each right object against all its boxes in the truth; the best counts.
_BOXES = f"""
    WITH best AS (
        SELECT image_id, tag_id, x1, y1, x2, y2 FROM current_regions
        QUALIFY row_number() OVER (
            PARTITION BY image_id, tag_id ORDER BY score DESC, region_id) = 1
    )
    SELECT r.image_id, r.tag_id, r.x1, r.y1, r.x2, r.y2,
           t.x1 AS tx1, t.y1 AS ty1, t.x2 AS tx2, t.y2 AS ty2
    FROM best r
    JOIN ({TRUTH}) n ON n.image_id = r.image_id AND n.tag_id = r.tag_id AND n.kind = 'object'
    JOIN current_truth t ON t.image_id = n.image_id AND t.name = n.name AND t.kind = n.kind
    JOIN current_images i ON i.image_id = r.image_id
    WHERE t.x2 - t.x1 >= {LEAST_SIDE} * i.width AND t.y2 - t.y1 >= {LEAST_SIDE} * i.height
"""


def run(
    data: Path | None, seeds: tuple[int, ...], out: Path, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One demo per seed, then the median; `data` is not used."""
    found = {seed: _one(out, seed, settings or {}) for seed in seeds}
    figures = {seed: one["figures"] for seed, one in found.items()}
    tables = {f"seed {seed}: {one['seconds']:.0f} s": one["steps"] for seed, one in found.items()}
    tables["median"] = [
        {"step": row["step"]}
        | {c: _median([one["steps"][n][c] for one in found.values()]) for c in COLUMNS}
        for n, row in enumerate(next(iter(found.values()))["steps"])
    ]
    tables["wrong tags of captions, median"] = [
        as_row(name, median_of([one["peers"][name] for one in found.values()]))
        for name in next(iter(found.values()))["peers"]
    ]
    together = _spread(list(figures.values()))
    tables["figures"] = [
        {"figure": f"{part}.{key}", **values}
        for part, of_part in together.items()
        for key, values in of_part.items()
    ]
    # Of the process that retrains on all images; those that learn folds see fewer.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = median(one["seconds"] for one in found.values())
    notes = [f"median time {seconds:.0f} s a seed; retraining holds {peak:.2f} GiB at most"]
    if "cleanlab" not in next(iter(found.values()))["peers"]:
        notes.append("cleanlab is not installed and was left out: pip install -e .[bench]")
    medians = {
        part: {key: values["median"] for key, values in of_part.items()}
        for part, of_part in together.items()
    }
    return medians | {"seeds": figures, "tables": tables, "notes": notes}


def place_of(out: Path, seed: int, settings: Mapping[str, Any]) -> tuple[Path, int, dict[str, Any]]:
    """The folder of a demo with these settings, how many scenes it has, and the other settings.

    Raises:
        PlanError: no evaluation scenes, or a seed that is not the benchmark's own.
    """
    if "seed" in settings:
        raise PlanError("--set seed: give --seed N, which also seeds the training")
    if settings.get("eval_scenes") == 0:
        raise PlanError("--set eval_scenes=0: mAP is measured on these scenes; leave some")
    recipe = dict(settings)
    scenes = number(recipe, "scenes", SCENES)
    recipe.pop("scenes", None)
    changed = "".join(f"-{key}-{value}" for key, value in sorted(settings.items()))
    return out / f"planted-{seed}{changed}", scenes, recipe


def _one(out: Path, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    folder, scenes, recipe = place_of(out, seed, settings)
    started = time.perf_counter()
    steps = run_demo(folder, scenes, seed, cores(), Quiet(), recipe)["steps"]
    seconds = time.perf_counter() - started
    with Lake.open(folder / "lake", read_only=True) as lake:
        overlap = _overlaps(lake)
        generation = generation_of(lake)
        language = score_language(lake, folder / "scenes")
        cleaning = compare_cleaning(lake, demo_config(scenes, seed))
    named = {row["step"]: row for row in steps}
    adaptive = cleaning["adaptive"]
    figures: dict[str, Any] = {
        **language,
        "generation": generation,
        "cleaning": {key: adaptive[key] for key in ("removed_wrong", "lost_right")},
        "boxes": {"median_iou": float(np.median(overlap)) if len(overlap) else None},
        "map": {name: named[step]["mAP"] for step, name in STEPS.items()},
    }
    shown = [{"step": row["step"]} | {c: row[c] for c in COLUMNS} for row in steps]
    return {"figures": figures, "peers": cleaning, "steps": shown, "seconds": seconds}


def generation_of(lake: Lake) -> dict[str, float | None]:
    """The share of what captions leave out that is added, and how many additions are right.

    None where captions leave nothing out, or nothing is added.
    """
    (missing,) = lake.query(_MISSING).column(0).to_pylist()
    before, after = (score_tags(lake, TAG_SETS[step]) for step in ("parsed", "+ generated"))
    added = judged_tags(lake, in_caption=False)[1]
    return {
        "recovered": (after.found - before.found) / missing if missing else None,
        "precision": float(added.mean()) if len(added) else None,
    }


def compare_cleaning(lake: Lake, config: Config) -> dict[str, dict[str, float | None]]:
    """What our cleaning and its peers make of the captions' tags, by name."""
    pairs, right = judged_tags(lake, in_caption=True)
    methods = {"adaptive": ours(lake), **peers(lake, config)}
    return {name: compare(pairs, right, method) for name, method in methods.items()}


def judged_tags(lake: Lake, *, in_caption: bool) -> tuple[list[Pair], Bools]:
    """Tags of captions, or added ones, in order, of which it is known which (P,) are right."""
    rows = lake.query(
        f"{_JUDGED} AND c.in_caption = $said ORDER BY image_id, tag_id", {"said": in_caption}
    ).to_pydict()
    pairs = list(zip(rows["image_id"], rows["tag_id"], strict=True))
    return pairs, np.array(rows["is_right"], bool)


def _overlaps(lake: Lake) -> np.ndarray:
    """The IoU of each right object's surest region with the truth."""
    rows = lake.query(_BOXES)
    one, other = (
        np.stack([rows.column(prefix + edge).to_numpy() for edge in ("x1", "y1", "x2", "y2")], 1)
        for prefix in ("", "t")
    )
    best: dict[tuple[str, int], float] = {}
    pairs = zip(rows.column("image_id").to_pylist(), rows.column("tag_id").to_pylist(), strict=True)
    for pair, value in zip(pairs, _iou(one, other), strict=True):
        best[pair] = max(best.get(pair, 0.0), float(value))
    return np.array(list(best.values()))


def _iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union (N,) of boxes (N, 4), xyxy, pair by pair."""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    overlap: np.ndarray = shared / (areas[0] + areas[1] - shared)
    return overlap


def _spread(
    figures: list[dict[str, dict[str, float | None]]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Median, least and most of every figure over the seeds that have it."""
    return {
        part: {key: _range([one[part][key] for one in figures]) for key in of_part}
        for part, of_part in figures[0].items()
    }


def _range(values: list[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    return {
        "median": _median(values),
        "least": min(known, default=None),
        "most": max(known, default=None),
    }


def median_of(figures: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The median of each figure."""
    return {key: _median([one[key] for one in figures]) for key in figures[0]}


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
