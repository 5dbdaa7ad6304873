"""Full-size RAM on this machine: encoder and decoder beside matrix products and the plain form.

Needs no data: Swin-L with random weights, 4,585 labels, 384 pixels, float32, two threads.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from model.speed import measure

BATCHES = (1, 4)


def run(data: Path | None, seeds: tuple[int, ...], out: Path) -> dict[str, Any]:
    """One process a batch size, so that each has its own peak of memory."""
    rows = []
    for batch in BATCHES:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            rows.append(pool.submit(measure, batch, seed=seeds[0]).result())
    table = [
        {"figure": name, **{f"batch {row['batch']:.0f}": row[name] for row in rows}}
        for name in rows[0]
        if name != "batch"
    ]
    notes = ["share of machine rate: seconds of the same matrix products alone, over those taken"]
    return {"tables": {"Swin-L RAM, 384 px, 4,585 labels": table}, "notes": notes}
