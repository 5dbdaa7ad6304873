"""A worker's part: one job from its inputs to Parquet files that are not visible yet."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa

from model.memory import keep_freed_memory
from model.threads import use_threads
from pipeline.config import Config
from pipeline.errors import ImbalanceError, WorkerKilled
from pipeline.fingerprint import digest
from pipeline.plan import CYCLE
from pipeline.reporting import Quiet, Relayed, Reporter, relay
from pipeline.stage import Batch, Context, Counts, Result, Stage, Unit
from storage.crash import crash_point
from storage.lake import Lake
from storage.schemas import TABLES


@dataclass(frozen=True)
class Job:
    """A group of units of one stage: everything a worker needs, small enough to send."""

    lake: Path
    config: Config
    cycle: int
    stage: str
    fingerprint: str
    units: tuple[Unit, ...]

    @property
    def works(self) -> dict[str, str]:
        """The `work_id` of each unit."""
        return {u.id: work_id(self.stage, u, self.fingerprint) for u in self.units}


@dataclass(frozen=True)
class Staged:
    """What a worker hands to the committer: files that are not visible yet, and what is in them."""

    job: Job
    files: dict[str, list[Path]]
    counts: dict[str, Counts]
    artifact: str | None
    seconds: float


def work_id(stage: str, unit: Unit, fingerprint: str) -> str:
    """The ledger key (stage, unit with its digest, fingerprint) as one id."""
    return digest([stage, unit.id, unit.digest, fingerprint])


def in_pool(pool: ProcessPoolExecutor, jobs: Sequence[Job], in_flight: int) -> Iterator[Staged]:
    """Results as they come, with few jobs submitted ahead, so that memory stays bounded."""
    waiting = iter(jobs)
    running: set[Future[Staged]] = set()
    while True:
        for job in waiting:
            running.add(pool.submit(_execute_in_pool, job))
            if len(running) >= in_flight:
                break
        if not running:
            return
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            yield future.result()


MOST_WORKERS = 8
"""Unless more are asked for: each holds models and a part of the images."""
IMPORTED = [__name__, "sklearn.isotonic", "sklearn.linear_model", "torch._dynamo"]
"""By the server that workers are forked from: all stages, and what training imports late."""
_reporter: Reporter = Quiet()
"""Of a worker process."""


def cores() -> int:
    """How many workers keep this machine busy, `MOST_WORKERS` at most."""
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


def processes() -> BaseContext:
    """Where workers come from: on Linux a server that has imported everything and done nothing.

    Forked from it, one is there at once; imports take longer than the work on a few images. Other
    systems' libraries do not all survive a fork, so there each process begins anew.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


@contextmanager
def worker_pool(count: int, reporter: Reporter) -> Iterator[ProcessPoolExecutor]:
    """Worker processes that tell `reporter` what they do.

    Raises:
        WorkerKilled: one of them ended before its work was done.
    """
    try:
        with (
            relay(reporter) as sender,
            ProcessPoolExecutor(count, processes(), start_worker, (sender, {**os.environ})) as pool,
        ):
            yield pool
    except BrokenProcessPool as error:
        raise WorkerKilled(
            "a worker process was killed, perhaps for want of memory; what was committed stays: "
            "run again, with fewer --workers if it happens again"
        ) from error


def start_worker(sender: Connection, environment: Mapping[str, str]) -> None:
    """Called once in each worker: what it does is told through `sender`.

    Its environment is that of the process that started it, and it ends when that one does, also
    when that one is killed.
    """
    global _reporter
    os.environ.clear()
    os.environ.update(environment)
    _reporter = Relayed(sender)
    keep_freed_memory()
    Thread(target=_end_with_parent, daemon=True).start()


def worker_reporter() -> Reporter:
    """What this worker process tells its progress to."""
    return _reporter


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@lru_cache(maxsize=1)
def _worker_lake(path: Path) -> Lake:
    return Lake.open(path, read_only=True)


@lru_cache(maxsize=2)
def _worker_stage(
    lake: Path, config: Config, cycle: int, name: str, fingerprint: str
) -> tuple[Stage, list[Any]]:
    """A stage and whether its `setup` ran: built once per worker and fingerprint."""
    return CYCLE[name](config, cycle), []


def begin_anew() -> None:
    """Forget stages of earlier runs of this process.

    With the same fingerprint `setup` may read other rows by now: those of images that came since.
    """
    _worker_stage.cache_clear()


def _execute_in_pool(job: Job) -> Staged:
    return execute(job, _worker_lake(job.lake), _reporter)


def execute(job: Job, lake: Lake, reporter: Reporter) -> Staged:
    """Run one job: read its inputs, run the stage, write Parquet files that are not visible yet.

    Raises:
        ImbalanceError: the stage's output does not account for its input.
    """
    started = time.perf_counter()
    # What ran before in this process, or the machine's cores, would otherwise decide.
    use_threads(job.config.baseline.threads)
    keep_freed_memory()
    stage, ready = _worker_stage(job.lake, job.config, job.cycle, job.stage, job.fingerprint)
    context = Context(job.lake, job.config, job.cycle, lake.query, lake.batches, reporter.progress)
    if not ready:
        stage.setup(context)
        ready.append(True)
    batch = Batch.read(stage.inputs, lake.query, [unit.id for unit in job.units])
    crash_point(f"{job.stage}:read")
    result = stage.run(batch, context)
    _check_balance(job, result)
    files = stage_rows(job, lake, result)
    crash_point(f"{job.stage}:staged")
    return Staged(job, files, result.counts, result.artifact, time.perf_counter() - started)


def _check_balance(job: Job, result: Result) -> None:
    for unit in job.units:
        counts = result.counts[unit.id]
        if counts.balance:
            raise ImbalanceError(
                f"{job.stage} of {unit.id}: {counts.n_in} in, but {counts.kept} kept + "
                f"{counts.dropped} dropped + {counts.rejected} rejected; nothing was written"
            )


def stage_rows(job: Job, lake: Lake, result: Result) -> dict[str, list[Path]]:
    """Write a result as Parquet files that are not visible yet, by table."""
    works, files = job.works, {}
    name = digest([job.stage, sorted(works.values())])
    for table, rows in result.rows.items():
        if rows.num_rows == 0:
            continue
        units = rows.column("unit").to_pylist() if "unit" in rows.schema.names else None
        ids = [works[u] for u in units] if units else [works[job.units[0].id]] * rows.num_rows
        rows = rows.append_column("work_id", pa.array(ids, pa.string()))
        if "shard_id" in TABLES[table].schema.names and "shard_id" not in rows.schema.names:
            shard = pa.array([job.units[0].id] * rows.num_rows, pa.string())
            rows = rows.append_column("shard_id", shard)
        files[table] = [lake.stage_file(table, name, rows)]
    return files
