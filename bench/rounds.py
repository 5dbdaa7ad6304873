"""Round after round on scenes whose truth is known: what does the next cycle add?

The first cycle learns what captions say, each later one what the one before has published. Judges
that learned cleaner tags find more of what is missing and wrong. The scenes and the first cycle are
those of `planted`; later cycles run on a copy of its lake.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.lakes import copy_lake
from bench.peers import ours
from bench.planted import SCENES, finished_demo, generation_of, judged_tags, median_of
from bench.ranking import compare
from pipeline.demo import demo_config
from pipeline.errors import PlanError
from pipeline.runner import Runner
from pipeline.scoring import TAG_SETS, score_tags
from pipeline.work import cores
from storage.lake import Lake

CYCLES = 2
_METRICS = """
    SELECT role, value FROM current_metrics
    WHERE name = 'mAP' AND kind = 'all' AND tag_id IS NULL
"""


def run(
    data: Path | None, seeds: tuple[int, ...], out: Path, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Figures of each cycle of every seed, then the median; `data` is not used.

    `settings` are how many `cycles`, and the scenes (`SceneConfig`).

    Raises:
        PlanError: `cycles` is no number of cycles, or a setting is not one of the scenes'.
    """
    recipe = dict(settings or {})
    cycles = recipe.pop("cycles", CYCLES)
    if not isinstance(cycles, int) or cycles < 1:
        raise PlanError(f"cycles={cycles!r}: give a whole number, 1 or more")
    found, seconds = {}, {}
    for seed in seeds:
        started = time.perf_counter()
        found[seed] = _rounds(out, seed, recipe, cycles)
        seconds[seed] = time.perf_counter() - started
    together = {
        cycle: median_of([rounds[cycle] for rounds in found.values()])
        for cycle in range(1, cycles + 1)
    }
    tables = {
        f"seed {seed}: {seconds[seed]:.0f} s": _rows(rounds) for seed, rounds in found.items()
    }
    tables["median"] = _rows(together)
    return {"cycles": together, "seeds": found, "tables": tables, "notes": []}


def _rows(rounds: Mapping[int, Mapping[str, float | None]]) -> list[dict[str, Any]]:
    return [{"cycle": cycle, **figures} for cycle, figures in rounds.items()]


def _rounds(
    out: Path, seed: int, recipe: Mapping[str, Any], cycles: int
) -> dict[int, dict[str, float | None]]:
    first, _ = finished_demo(out, seed, recipe)
    lakes = {1: first / "lake", **{n: first / f"cycle-{n}" for n in range(2, cycles + 1)}}
    config = demo_config(int(recipe.get("scenes", SCENES)), seed)
    figures = {}
    for cycle, path in lakes.items():
        if cycle > 1:
            if not path.exists():
                copy_lake(lakes[cycle - 1], path)
            runner = Runner(path, config, workers=cores(), cycle=cycle)
            with runner.lake:  # closed before anybody copies it
                runner.run(command="bench")
        with Lake.open(path, read_only=True) as lake:
            figures[cycle] = _figures(lake)
    return figures


def _figures(lake: Lake) -> dict[str, float | None]:
    published = score_tags(lake, TAG_SETS["+ cleaned"])
    metrics = {row["role"]: row["value"] for row in lake.query(_METRICS).to_pylist()}
    cleaning = compare(*judged_tags(lake, in_caption=True), ours(lake))
    return {
        **generation_of(lake),
        **{key: cleaning[key] for key in ("removed_wrong", "lost_right", "auc")},
        "removed_at_equal_loss": cleaning["removed_at_equal_loss"],
        "published_precision": published.precision, "published_recall": published.recall,
        "baseline_mAP": metrics.get("baseline"), "retrained_mAP": metrics.get("retrained"),
        "fine_tuned_mAP": metrics.get("fine-tuned"),
    }  # fmt: skip
