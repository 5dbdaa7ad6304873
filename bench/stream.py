"""A million captions through `tagwright parse`: is memory constant, is one line written for each?

The captions of `data` (as for `bench parse`) are repeated and perturbed: a word of each is swapped
for a word of another, so that hardly any is a duplicate.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench.parse import captions_of
from pipeline.errors import SourceError

CAPTIONS = 1_000_000
SAMPLES = 10


def run(data: Path | None, seeds: tuple[int, ...], out: Path) -> dict[str, Any]:
    """Memory of all processes at tenths of the way."""
    if data is None:
        raise SourceError("bench stream: --data FILE is needed, with one caption a line")
    chance, texts = random.Random(seeds[0]), captions_of(data)
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", "parse", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    source = process.stdin

    def feed() -> None:
        for _ in range(CAPTIONS):
            source.write((_perturbed(texts, chance) + "\n").encode())
        source.close()

    threading.Thread(target=feed, daemon=True).start()
    rows, count, started = [], 0, time.perf_counter()
    for count, _ in enumerate(process.stdout, 1):
        if count % (CAPTIONS // SAMPLES) == 0:
            seconds = time.perf_counter() - started
            rows.append({"lines": count, "seconds": seconds, "MiB": _resident(process.pid)})
    if process.wait() or count != CAPTIONS:
        raise SourceError(
            f"bench stream: {count} lines for {CAPTIONS} captions, status {process.returncode}"
        )
    return {"tables": {"tagwright parse, all its processes": rows}}


def _perturbed(texts: list[str], chance: random.Random) -> str:
    words, others = chance.choice(texts).split(), chance.choice(texts).split()
    if words and others:
        words[chance.randrange(len(words))] = chance.choice(others)
    return " ".join(words)


def _resident(pid: int) -> float:
    """Resident memory of a process and its children in MiB, from /proc."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = [int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in [pid, *children]]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
