"""Random kills of the real cycle: is anything ever lost or doubled?

One lake is filled undisturbed; another by a process that is killed with SIGKILL ten times at random
moments and started again. Both must hold the same content rows.
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
    subprocess.run(_command(calm, seed), check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    chance, kills, stages = random.Random(seed), 0, []
    while kills < KILLS:
        process = subprocess.Popen(_command(disturbed, seed), stdout=subprocess.DEVNULL)
        try:
            # Long enough to pass the imports, short enough that ten kills fit into one cycle.
            process.wait(4 + chance.uniform(0, 1.5 * seconds / KILLS))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            stages.append(_newest_stage(disturbed))
    subprocess.run(_command(disturbed, seed), check=True, stdout=subprocess.DEVNULL)
    with (
        Lake.open(calm / "lake", read_only=True) as one,
        Lake.open(disturbed / "lake", read_only=True) as other,
    ):
        different = different_tables(one, other)
        unbalanced = other.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0")
    return {
        "seed": seed, "kills": kills, "last stage done at each kill": ", ".join(stages),
        "tables that differ": ", ".join(different) or "none", "units out of balance": unbalanced,
        "undisturbed seconds": seconds,
    }  # fmt: skip


def _command(out: Path, seed: int) -> list[str]:
    return [
        sys.executable, "-m", "flows", "demo", "--out", str(out), "--scenes", str(SCENES),
        "--seed", str(seed),
    ]  # fmt: skip


def _newest_stage(out: Path) -> str:
    if not (out / "lake" / "lake.toml").exists():
        return "no lake yet"
    with Lake.open(out / "lake", read_only=True) as lake:
        return str(lake.scalar("SELECT stage FROM ledger ORDER BY seq DESC LIMIT 1") or "nothing")
