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

from bench.lakes import copy_lake, run_stages
from bench.peers import ours
from bench.planted import generation_of, judged_tags, median_of, place_of
from bench.ranking import compare
from pipeline.demo import DemoPaths, demo_config, fill_lake, make_scenes
from pipeline.errors import PlanError
from pipeline.reporting import Quiet
from pipeline.scoring import TAG_SETS, map_by_role, score_tags
from storage.lake import Lake

CYCLES = 2
CLEANING = ("removed_wrong", "lost_right", "auc", "removed_at_equal_loss")
ROLES = ("baseline", "retrained", "fine-tuned")


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
    out: Path, seed: int, settings: Mapping[str, Any], cycles: int
) -> dict[int, dict[str, float | None]]:
    folder, scenes, recipe = place_of(out, seed, settings)
    paths, config = DemoPaths(folder), demo_config(scenes, seed)
    make_scenes(paths, scenes, seed, Quiet(), recipe)
    fill_lake(paths, config, Quiet())
    path, figures = paths.lake, {}
    for cycle in range(1, cycles + 1):
        if cycle > 1:
            earlier, path = path, folder / f"cycle-{cycle}"
            if not path.exists():
                copy_lake(earlier, path)
        run_stages(path, config, cycle=cycle)
        with Lake.open(path, read_only=True) as lake:
            figures[cycle] = _figures(lake)
    return figures


def _figures(lake: Lake) -> dict[str, float | None]:
    published, learned = score_tags(lake, TAG_SETS["+ cleaned"]), map_by_role(lake)
    cleaning = compare(*judged_tags(lake, in_caption=True), ours(lake))
    return {
        **generation_of(lake),
        **{key: cleaning[key] for key in CLEANING},
        "published_precision": published.precision, "published_recall": published.recall,
        **{f"{role.replace('-', '_')}_mAP": learned.get(role) for role in ROLES},
    }  # fmt: skip
