"""Reproducible benchmarks: `tagwright bench NAME` prints figures, peers side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from pipeline.config import apply_setting
from pipeline.errors import PlanError

BENCHMARKS = {
    "budget": "bench.budget",
    "clusters": "bench.clusters",
    "detectors": "bench.detectors",
    "generation": "bench.generation",
    "kill": "bench.kill",
    "labels": "bench.labels",
    "model": "bench.model",
    "noise": "bench.noise",
    "parse": "bench.parse",
    "photos": "bench.photos",
    "planted": "bench.planted",
    "rerun": "bench.rerun",
    "rounds": "bench.rounds",
    "stream": "bench.stream",
    "tagger": "bench.tagger",
}
"""Name -> module with a function `run`; imported only when asked for.

(data folder, seeds, output folder) -> {"tables": {title: rows}, "notes": lines, ...}; some take
`settings`, a mapping, as well.
"""


def run_benchmark(
    name: str, data: Path | None, seeds: tuple[int, ...], out: Path, settings: Sequence[str] = ()
) -> dict[str, Any]:
    """Run the benchmark of that name; `settings` are `key=value`.

    Raises:
        PlanError: there is none, or it takes no settings.
        ConfigError: a setting is not written so.
    """
    benchmark = _find(name)
    if not settings:
        return benchmark(data, seeds, out)
    if "settings" not in signature(benchmark).parameters:
        raise PlanError(f"--set {settings[0]}: the benchmark {name!r} takes no settings")
    values: dict[str, Any] = {}
    for setting in settings:
        apply_setting(values, setting)
    return benchmark(data, seeds, out, settings=values)


def _find(name: str) -> Callable[..., dict[str, Any]]:
    if name not in BENCHMARKS:
        raise PlanError(f"unknown benchmark {name!r}; choose from: {', '.join(sorted(BENCHMARKS))}")
    benchmark: Callable[..., dict[str, Any]] = import_module(BENCHMARKS[name]).run
    return benchmark
