"""Random kills of the real cycle: is anything ever lost or doubled?

One lake is filled undisturbed. Others by a process that is killed with SIGKILL at random moments,
ten times in all, and started again. All must hold the same content rows.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pipeline.compare import different_tables
from pipeline.errors import PlanError
from pipeline.plan import CYCLE
from storage.lake import Lake

SCENES = 120
KILLS = 10


def run(data: Path | None, seeds: tuple[int, ...], out: Path) -> dict[str, Any]:
    """Kill and compare; `data` is not used."""
    rows = [_one(seed, out) for seed in seeds]
    return {"tables": {f"{KILLS} random kills, {SCENES} scenes": rows}}


def _one(seed: int, out: Path) -> dict[str, Any]:
    calm, disturbed = out / f"calm-{seed}", out / f"disturbed-{seed}"
    for folder in (calm, disturbed):
        shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    _ended_well(_start(calm, seed).wait(), calm)
    seconds = time.perf_counter() - started
    chance, finished = random.Random(seed), 0
    stages: list[str] = []
    different: set[str] = set()
    while len(stages) < KILLS:
        process = _start(disturbed, seed)
        try:
            code = process.wait(chance.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            stages.append(_stage_in_work(disturbed))
            continue
        # It ended before its time was up: compare, and begin again with an empty folder.
        _ended_well(code, disturbed)
        different |= _differences(calm, disturbed)
        finished += 1
        shutil.rmtree(disturbed)
    _ended_well(_start(disturbed, seed).wait(), disturbed)
    different |= _differences(calm, disturbed)
    return {
        "seed": seed, "kills": len(stages), "killed in": ", ".join(stages),
        "lakes compared": finished + 1, "what differs": ", ".join(sorted(different)) or "nothing",
        "undisturbed seconds": seconds,
    }  # fmt: skip


def _differences(calm: Path, disturbed: Path) -> set[str]:
    """Tables whose content differs, and whether a unit is out of balance."""
    with (
        Lake.open(calm / "lake", read_only=True) as one,
        Lake.open(disturbed / "lake", read_only=True) as other,
    ):
        different = set(different_tables(one, other))
        if other.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0"):
            different.add("balance")
    return different


def _start(out: Path, seed: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable, "-m", "flows", "demo", "--out", str(out), "--scenes", str(SCENES),
        "--seed", str(seed),
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _ended_well(code: int, out: Path) -> None:
    if code:
        raise PlanError(
            f"{out}: the demo ended by itself with exit code {code}; what it said is above, and "
            "the lake is as it left it"
        )


def _stage_in_work(out: Path) -> str:
    """The first stage of the plan that has no row yet."""
    if not (out / "lake" / "lake.toml").exists():
        return "before the lake"
    with Lake.open(out / "lake", read_only=True) as lake:
        begun = set(lake.query("SELECT DISTINCT stage FROM ledger").column(0).to_pylist())
    return next((name for name in CYCLE if name not in begun), "report")
