"""Reproducible benchmarks: `tagwright bench NAME` prints figures, peers side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import PlanError

Benchmark = Callable[..., dict[str, Any]]
"""(data folder, seeds, output folder) -> {"tables": {title: rows}, "notes": lines, ...}

Some take `settings`, a mapping, as well.
"""

BENCHMARKS = {
    "clusters": "bench.clusters",
    "detectors": "bench.detectors",
    "generation": "bench.generation",
    "kill": "bench.kill",
    "labels": "bench.labels",
    "model": "bench.model",
    "parse": "bench.parse",
    "planted": "bench.planted",
    "rerun": "bench.rerun",
    "stream": "bench.stream",
    "tagger": "bench.tagger",
}
"""Name -> module with a function `run`; imported only when asked for."""


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises:
        PlanError: there is none; the message lists the choices.
    """
    if name not in BENCHMARKS:
        raise PlanError(f"unknown benchmark {name!r}; choose from: {', '.join(sorted(BENCHMARKS))}")
    benchmark: Benchmark = import_module(BENCHMARKS[name]).run
    return benchmark


def run_benchmark(
    name: str, data: Path | None, seeds: tuple[int, ...], out: Path, settings: Sequence[str] = ()
) -> dict[str, Any]:
    """Run the benchmark of that name; `settings` are `key=value`.

    Raises:
        PlanError: there is none, it takes no settings, or one is not written so.
    """
    benchmark = find_benchmark(name)
    if not settings:
        return benchmark(data, seeds, out)
    if "settings" not in signature(benchmark).parameters:
        raise PlanError(f"--set {settings[0]}: the benchmark {name!r} takes no settings")
    pairs = [setting.partition("=") for setting in settings]
    for key, equals, _ in pairs:
        if not equals:
            raise PlanError(f"--set {key}: write it as key=value")
    return benchmark(data, seeds, out, settings={k: yaml.safe_load(v) for k, _, v in pairs})
