"""Workers: what they do is told to the process that started them, and they do not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline import work
from pipeline.config import load_config
from pipeline.ingest import ingest
from pipeline.parse import ParseCaptions
from pipeline.readers import Record
from pipeline.reporting import Quiet
from pipeline.runner import Runner
from pipeline.stage import Context
from pipeline.work import worker_pool
from storage.lake import Lake
from tests.lakes import captioned_lake

PARENT = """
import os, time
from pipeline.reporting import Quiet
from pipeline.work import worker_pool
with worker_pool(1, Quiet()) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600).result()
"""


class Heard(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, str]] = []

    def progress(self, done: int, total: int, words: str) -> None:
        self.told.append((done, total, words))


def train(steps: int, words: str) -> None:
    for step in range(1, steps + 1):
        work._reporter.progress(step, steps, words)


def test_progress_of_workers_is_told_with_its_end() -> None:
    heard = Heard()
    with worker_pool(2, heard) as pool:
        for future in [pool.submit(train, 2000, "one"), pool.submit(train, 2000, "two")]:
            future.result()
        deadline = time.monotonic() + 10
        while len([t for t in heard.told if t[0] == 2000]) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    ends = {(done, words) for done, _, words in heard.told if done == 2000}
    assert ends == {(2000, "one"), (2000, "two")}
    assert len(heard.told) < 200  # some times a second, not at every step


def test_workers_have_the_environment_of_who_starts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> tuple[str | None, int]:
        with worker_pool(1, Quiet()) as pool:
            return pool.submit(os.getenv, "TOLD").result(), pool.submit(os.getpid).result()

    monkeypatch.setenv("TOLD", "once")
    first, one = seen()
    monkeypatch.setenv("TOLD", "again")
    second, other = seen()
    monkeypatch.delenv("TOLD")
    assert (first, second, seen()[0]) == ("once", "again", None)
    assert one != other


def test_each_run_of_a_process_reads_the_lake_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: list[int] = []
    setup = ParseCaptions.setup

    def counted(stage: ParseCaptions, context: Context) -> None:
        images.append(context.query("SELECT image_id FROM current_images").num_rows)
        setup(stage, context)

    monkeypatch.setattr(ParseCaptions, "setup", counted)
    config = load_config(None, ["ingest.shard_size=1"])
    path = captioned_lake(tmp_path, config.ingest, 2)
    Runner(path, config).run(until="parse")
    with Lake.open(path) as lake:
        other = (tmp_path / "images" / "0.png").read_bytes() + b"another"
        ingest(lake, [Record("new", other, ("a cat",))], config.ingest)
    Runner(path, config).run(until="parse")
    assert images == [2, 3]  # once for each run, whatever it has to do


@pytest.mark.slow
def test_a_worker_ends_when_its_parent_is_killed() -> None:
    with started() as (parent, worker):
        os.kill(parent, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while alive(worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not alive(worker)


@contextmanager
def started() -> Iterator[tuple[int, int]]:
    """A process with one sleeping worker: their IDs."""
    command = [sys.executable, "-c", f"if __name__ == '__main__':\n{indented(PARENT)}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


def indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())


def alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False
