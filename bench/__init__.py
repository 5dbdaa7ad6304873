"""Reproducible benchmarks: `tagwright bench NAME` prints figures, peers side by side."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.errors import PlanError

Benchmark = Callable[[Path | None, tuple[int, ...], Path], dict[str, Any]]
"""(data folder, seeds, output folder) -> {"tables": {title: rows}, "notes": lines, ...}"""

BENCHMARKS = {
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
