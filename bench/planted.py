"""The demo over several seeds: is every step worth what it should be worth?"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.demo import run_demo
from pipeline.reporting import Quiet

SCENES = 800
COLUMNS = ("precision", "recall", "mAP")


def run(data: Path | None, seeds: tuple[int, ...], out: Path) -> dict[str, Any]:
    """One demo per seed, then the median; `data` is not used."""
    per_seed, times = {}, []
    for seed in seeds:
        started = time.perf_counter()
        result = run_demo(out / f"planted-{seed}", SCENES, seed, 1, Quiet())
        times.append(time.perf_counter() - started)
        per_seed[seed] = {row["step"]: row for row in result["steps"]}
    tables = {
        f"seed {seed}: {seconds:.0f} s": [_figures(step, rows) for step, rows in steps.items()]
        for (seed, steps), seconds in zip(per_seed.items(), times, strict=True)
    }
    names = list(next(iter(per_seed.values())))
    tables["median"] = [
        {"step": name}
        | {
            column: _median([steps[name][column] for steps in per_seed.values()])
            for column in COLUMNS
        }
        for name in names
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    notes = [f"median time {median(times):.0f} s a seed; peak memory {peak:.2f} GiB"]
    return {"tables": tables, "notes": notes}


def _figures(step: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"step": step} | {column: row[column] for column in COLUMNS}


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
