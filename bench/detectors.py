"""Both Grounding-DINO backends at full size on this machine, weights random.

A batch of pictures of several sizes with 1 to 60 tags each: seconds a picture, peak memory, and
whether one picture at a time in reverse order gives the same boxes.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from model.detectors.speed import BACKENDS, measure


def run(data: Path | None, seeds: tuple[int, ...], out: Path) -> dict[str, Any]:
    """One process a backend, so that each has its own peak of memory; needs no data."""
    rows = []
    for backend in BACKENDS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            rows.append(pool.submit(measure, backend, seed=seeds[0]).result())
    return {"tables": {"Swin-T Grounding-DINO, random weights, two threads": rows}, "notes": []}
