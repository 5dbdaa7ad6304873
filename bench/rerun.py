"""Run again, then add photos: is only what is new done?

`data` holds captions.csv (image, caption) and images/; the last 20 images in order of name are held
back, the cycle runs over the others, runs again, then over all.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.given import columns_of
from pipeline.errors import SourceError
from storage.lake import Lake

HELD_BACK = 20


def run(data: Path | None, seeds: tuple[int, ...], out: Path) -> dict[str, Any]:
    """Three runs of the command line as whole processes, timed."""
    if data is None:
        raise SourceError("bench rerun: --data DIR is needed, with captions.csv and images/")
    pairs = columns_of(data / "captions.csv", "image", "caption")
    late = set(sorted({image for image, _ in pairs})[-HELD_BACK:])
    out.mkdir(parents=True, exist_ok=True)
    lake = out / f"rerun-{seeds[0]}"
    Lake.create(lake).close()
    rows = []
    for name, part in (
        ("first run", [p for p in pairs if p[0] not in late]),
        ("run again", []),
        (f"{HELD_BACK} photos more", [p for p in pairs if p[0] in late]),
    ):
        if part:
            _call("ingest", str(_source(out, name, part)), "--images", str(data / "images"), lake)
        started = time.perf_counter()
        before = _works(lake)
        _call("run", "--set", f"seed={seeds[0]}", lake)
        seconds = time.perf_counter() - started
        done = _works(lake) - before
        rows.append({"run": name, "seconds": seconds, "units done": _by_stage(done)})
    with Lake.open(lake, read_only=True) as opened:
        unbalanced = opened.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0")
    return {"tables": {"runs": rows}, "notes": [f"units out of balance: {unbalanced}"]}


def _source(out: Path, name: str, pairs: list[tuple[str, ...]]) -> Path:
    path = out / f"{name.replace(' ', '-')}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), *pairs])
    return path


def _call(*arguments: str | Path) -> None:
    *words, lake = map(str, arguments)
    command = [sys.executable, "-m", "flows", *words, "--lake", lake]
    # What it prints is not the benchmark's; what it says of an error is.
    if status := subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        raise SourceError(f"bench rerun: `tagwright {words[0]}` failed, status {status}")


def _works(lake: Path) -> set[tuple[str, str]]:
    with Lake.open(lake, read_only=True) as opened:
        rows = opened.query("SELECT stage, work_id FROM ledger").to_pylist()
    return {(row["stage"], row["work_id"]) for row in rows}


def _by_stage(works: set[tuple[str, str]]) -> str:
    counts: dict[str, int] = {}
    for stage, _ in sorted(works):
        counts[stage] = counts.get(stage, 0) + 1
    return ", ".join(f"{stage} {count}" for stage, count in counts.items()) or "none"
