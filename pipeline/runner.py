"""The only thing that runs a plan: finds what is not done yet, runs it, commits it.

The command line and the Prefect flows both call this. Workers (this process, or a pool of spawned
ones) write Parquet files; the committer, always the calling process, registers them together with
their ledger rows. What a unit gives never depends on who ran it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.errors import PlanError
from pipeline.fingerprint import digest, digest_keys
from pipeline.halfway import half_done
from pipeline.plan import CYCLE, OUTSIDE, check_plan
from pipeline.reporting import Quiet, Reporter
from pipeline.returned import take_back
from pipeline.stage import Stage, Unit
from pipeline.work import Job, Staged, begin_anew, execute, in_pool, work_id, worker_pool
from storage.crash import crash_point
from storage.lake import Lake


@dataclass(frozen=True)
class StageSummary:
    """What a run did at one stage."""

    stage: str
    units: int
    ran: int
    seconds: float


class Runner:
    """Runs the cycle over one lake."""

    def __init__(
        self,
        lake: Path,
        config: Config,
        *,
        workers: int = 1,
        cycle: int | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        check_plan(CYCLE)
        self.config = config
        self.workers = workers
        self.reporter = reporter or Quiet()
        self.lake = Lake.open(lake)
        self.run_id = uuid.uuid4().hex[:12]
        newest = "SELECT coalesce(max_by(cycle, recorded_at), 1) FROM runs"
        self.cycle = cycle or int(self.lake.scalar(newest))
        self._corpus_rows: dict[tuple[str, str], dict[str, Any]] | None = None

    # ---- running -------------------------------------------------------------------------------

    def next_cycle(self) -> bool:
        """Begin the next cycle; False where the present one has published nothing to learn from.

        So a run that was killed goes on with the cycle that it had begun.
        """
        published = "SELECT count(*) FROM publications WHERE cycle = $cycle"
        begins = bool(self.lake.scalar(published, {"cycle": self.cycle}))
        self.cycle += begins
        return begins

    def run(
        self,
        *,
        first: str | None = None,
        until: str | None = None,
        force: frozenset[str] = frozenset(),
        command: str = "run",
    ) -> list[StageSummary]:
        """Run the stages from `first` to `until` (all by default), skipping what is done.

        `force` names pinned stages that must look at new data.

        Raises:
            PlanError: an unknown stage, or as `check`.
            ImbalanceError: a stage lost rows; nothing of that unit was written.
        """
        names = stage_names(first, until)
        self.check(names)
        with self._recorded(command):
            return [self.run_stage(name, name in force) for name in names]

    def check(self, names: Sequence[str]) -> None:
        """Tell what is wrong with the lake or the settings of some stages before any work.

        Raises:
            PlanError: no images yet, a retraining before the first run or of what a run has half
                cleaned, or settings that a stage cannot do with.
        """
        if not self.lake.scalar("SELECT count(*) FROM current_images"):
            raise PlanError(
                f"{self.lake.path}: no images yet; run `tagwright ingest SOURCE --images DIR` first"
            )
        alone = "retrain" in names and "baseline" not in names
        if alone and not self.lake.scalar("SELECT count(*) FROM current_models"):
            raise PlanError(
                f"{self.lake.path}: nothing to retrain on yet; run `tagwright run` first"
            )
        if "publish" in names and "clean" not in names and (left := half_done(self)):
            raise PlanError(
                f"{self.lake.path}: a run was interrupted, or is at work, and left {left}, so tags "
                "are half cleaned; let it end, or go on with it by `tagwright run` and its settings"
            )
        for name in names:
            CYCLE[name](self.config, self.cycle).check()

    def run_stage(self, name: str, forced: bool = False) -> StageSummary:
        """Run one stage over all units that are not done."""
        started = time.perf_counter()
        jobs = self.pending(name, forced)
        done = self._execute(jobs)
        units = len(self.units(CYCLE[name](self.config, self.cycle)))
        return StageSummary(name, units, done, time.perf_counter() - started)

    def pending(self, name: str, forced: bool = False) -> list[Job]:
        """The jobs of a stage that are not done yet; reuses older results where they fit."""
        self._corpus_rows = None  # an earlier stage or somebody else may have committed
        stage = CYCLE[name](self.config, self.cycle)
        fingerprint = self.fingerprint(name)
        if stage.pinned and not forced:
            settled = self._settled(stage, fingerprint)
            if settled and settled != self.current(name):
                self.lake.commit({}, [settled | {"run_id": self.run_id}], name)
            if settled:
                return []
        if name == next(iter(CYCLE)):
            take_back(self.lake, self.run_id)
        todo = self._not_done(stage, fingerprint, self.units(stage))
        return [
            Job(
                self.lake.path, self.config, self.cycle, name, fingerprint,
                units,
            )
            for units in groups_of(todo, stage.group)
        ]  # fmt: skip

    def outlook(self) -> list[dict[str, Any]]:
        """For each stage what it does and how much is left; changes nothing.

        A stage behind one that has work left may turn out to have more.
        """
        rows = []
        for name, kind in CYCLE.items():
            stage = kind(self.config, self.cycle)
            stage.check()
            fingerprint, units = self.fingerprint(name), self.units(stage)
            if stage.pinned and self._settled(stage, fingerprint):
                left = 0
            else:
                works = self.lake.query(
                    "SELECT DISTINCT work_id FROM ledger WHERE stage = $stage", {"stage": name}
                )
                done = set(works.column(0).to_pylist())
                left = sum(work_id(name, unit, fingerprint) not in done for unit in units)
            rows.append(
                {"stage": name, "does": stage.doc, "per": stage.unit, "units": len(units),
                 "to do": left, "writes": ", ".join(stage.writes)}
            )  # fmt: skip
        return rows

    def run_jobs(self, jobs: Sequence[Job], command: str) -> int:
        """Run some jobs as a run of their own: what a Prefect task does."""
        with self._recorded(command):
            return self._execute(jobs)

    def _execute(self, jobs: Sequence[Job]) -> int:
        if not jobs:
            return 0
        name, total = jobs[0].stage, sum(len(job.units) for job in jobs)
        with self.alone(name), self.reporter.stage(name, total) as advance:
            for staged in self._work(jobs):
                self.commit(staged)
                advance(len(staged.job.units))
        return total

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock of a stage that people edit, from reading what is in use to the commit.

        Each change begins with what is in use, so one of two made at once would be lost.
        """
        return self.lake.locked(f".{name}.lock") if CYCLE[name].edited else nullcontext()

    def _work(self, jobs: Sequence[Job]) -> Iterator[Staged]:
        if self.workers == 1 or len(jobs) < CYCLE[jobs[0].stage].pool_from:
            begin_anew()
            for job in jobs:
                yield execute(job, self.lake, self.reporter)
            return
        with worker_pool(self.workers, self.reporter) as pool:
            yield from in_pool(pool, jobs, 2 * self.workers)

    def commit(self, staged: Staged) -> None:
        """Register a job's files and ledger rows in one transaction."""
        job, works = staged.job, staged.job.works
        rows = [
            {
                "work_id": works[unit.id], "stage": job.stage, "unit": unit.id,
                "unit_digest": unit.digest, "fingerprint": job.fingerprint,
                "artifact": staged.artifact, "n_in": staged.counts[unit.id].n_in,
                "n_kept": staged.counts[unit.id].kept,
                "n_dropped": staged.counts[unit.id].dropped,
                "n_rejected": staged.counts[unit.id].rejected,
                "run_id": self.run_id, "seconds": staged.seconds / len(job.units),
            }
            for unit in job.units
        ]  # fmt: skip
        self.lake.commit(staged.files, rows, job.stage)
        crash_point(f"{job.stage}:committed")

    # ---- what is done --------------------------------------------------------------------------

    def fingerprint(self, name: str) -> str:
        """Stage version, config sections, identity, and the digests of what the stage reads.

        A pinned stage upstream counts by its artifact; any other by its own fingerprint.
        """
        stage = CYCLE[name](self.config, self.cycle)
        upstream: dict[str, str] = {}
        for other in self._upstream(name):
            if CYCLE[other].pinned:
                current = self.current(other)
                upstream[other] = str(current["artifact"]) if current else "none"
            elif not stage.pinned:
                upstream[other] = self.fingerprint(other)
        sections = {
            section: getattr(self.config, section).model_dump(mode="json", exclude={*stage.files})
            for section in stage.sections
        }
        seed = self.config.seed if stage.seeded else None
        return digest([name, stage.version, sections, seed, stage.identity(), upstream])

    def units(self, stage: Stage) -> list[Unit]:
        """All units of a stage, in a fixed order."""
        if stage.unit == "corpus":
            asked = ["certify"] if {*OUTSIDE["certify"]} & {*stage.reads} else []
            names = [*self._upstream(stage.name), "ingest", *asked]
            works = self.lake.query(
                "SELECT work_id FROM current_ledger WHERE list_contains($names, stage)",
                {"names": names},
            )
            key = digest_keys(works.column(0).to_pylist())
            return [Unit(part, key) for part in stage.parts]
        if stage.unit == "tag":
            sql = (
                "SELECT tag_id::VARCHAR, list(region_id) FROM current_regions r "
                "JOIN current_labels l USING (label_version, tag_id) "
                "GROUP BY tag_id ORDER BY tag_id"
            )
            found = self.lake.query(sql).to_pydict().values()
            return [
                Unit(tag, digest_keys(set(regions)), len(set(regions)))
                for tag, regions in zip(*found, strict=True)
            ]
        shards = self.lake.query(
            "SELECT unit, unit_digest FROM current_ledger WHERE stage = 'ingest' ORDER BY unit"
        )
        return [Unit(row["unit"], row["unit_digest"]) for row in shards.to_pylist()]

    def _upstream(self, name: str) -> list[str]:
        """Earlier stages that write a table which the stage reads."""
        reads = set(CYCLE[name].reads)
        names = list(CYCLE)
        return [
            other for other in names[: names.index(name)] if reads.intersection(CYCLE[other].writes)
        ]

    def current(self, name: str) -> dict[str, Any] | None:
        """The ledger row of a stage over the whole corpus; read once per stage.

        Of a stage in parts the first one's, with an artifact of all; none while they do not fit.
        """
        if self._corpus_rows is None:
            names = [name for name, stage in CYCLE.items() if stage.unit == "corpus"]
            rows = self.lake.query(
                "SELECT * FROM current_ledger WHERE list_contains($names, stage)", {"names": names}
            ).to_pylist()
            self._corpus_rows = {(row["stage"], row["unit"]): row for row in rows}
        parts = CYCLE[name](self.config, self.cycle).parts
        found: list[dict[str, Any]] = [
            self._corpus_rows[name, part] for part in parts if (name, part) in self._corpus_rows
        ]
        works = {(row["fingerprint"], row["unit_digest"]) for row in found}
        if len(found) < len(parts) or len(works) > 1:
            return None
        if len(found) == 1:
            return found[0]
        return found[0] | {"artifact": digest([row["artifact"] for row in found])}

    def _settled(self, stage: Stage, fingerprint: str) -> dict[str, Any] | None:
        """The ledger row that a pinned stage stays with; None where it has to run.

        Of an edited stage it may be an older one: the newest with that fingerprint.
        """
        current = self.current(stage.name)
        if current and current["fingerprint"] == fingerprint:
            return current
        if not stage.edited:
            return None
        rows: list[dict[str, Any]] = self.lake.query(
            "SELECT * FROM ledger WHERE stage = $stage AND fingerprint = $fingerprint "
            "ORDER BY seq DESC LIMIT 1",
            {"stage": stage.name, "fingerprint": fingerprint},
        ).to_pylist()
        return rows[0] if rows else None

    def _not_done(self, stage: Stage, fingerprint: str, units: list[Unit]) -> list[Unit]:
        """Units without a row for this work; where an older work fits again, make it current."""
        wanted = {work_id(stage.name, unit, fingerprint): unit for unit in units}
        history = self.lake.query(
            "SELECT l.*, c.work_id = l.work_id AS is_current FROM ledger l "
            "JOIN current_ledger c ON c.stage = l.stage AND c.unit = l.unit "
            "WHERE l.stage = $stage QUALIFY row_number() OVER (PARTITION BY l.work_id "
            "ORDER BY l.seq DESC) = 1",
            {"stage": stage.name},
        ).to_pylist()
        done = {row["work_id"]: row for row in history if row["work_id"] in wanted}
        again = [row for row in done.values() if not row["is_current"]]
        # Units that are no longer there (a tag that lost all its regions) must not speak.
        ids = {unit.id for unit in units}
        gone = [r for r in history if r["is_current"] and r["unit"] not in ids and r["n_in"]]
        rows = [row | {"run_id": self.run_id} for row in again]
        rows += [
            row
            | {"run_id": self.run_id, "work_id": f"retired-{row['work_id']}"}
            | {"unit_digest": "none", "n_in": 0, "n_kept": 0, "n_dropped": 0, "n_rejected": 0}
            for row in gone
        ]
        if rows:
            self.lake.commit({}, rows, stage.name)
        return [unit for work, unit in wanted.items() if work not in done]

    @contextmanager
    def _recorded(self, command: str) -> Iterator[None]:
        """Keep a row about the start and the end of a run, whatever the end."""
        row = {
            "run_id": self.run_id, "command": command, "cycle": self.cycle,
            "version": version("tagwright"), "config": self.config.model_dump_json(),
        }  # fmt: skip
        self.lake.record_run({**row, "state": "started"})
        try:
            yield
        except BaseException as error:
            self.lake.record_run({**row, "state": "failed", "detail": str(error)[:500]})
            raise
        self.lake.record_run({**row, "state": "finished"})


def groups_of(units: Sequence[Unit], most: int) -> Iterator[tuple[Unit, ...]]:
    """Units in their order, in groups whose sizes add up to `most`; a larger one is alone."""
    group: list[Unit] = []
    size = 0
    for unit in units:
        if group and size + unit.size > most:
            yield tuple(group)
            group, size = [], 0
        group.append(unit)
        size += unit.size
    if group:
        yield tuple(group)


def stage_names(first: str | None = None, until: str | None = None) -> list[str]:
    """The stages of the cycle from `first` to `until`.

    Raises:
        PlanError: an unknown name.
    """
    names = list(CYCLE)
    for name in (first, until):
        if name is not None and name not in names:
            raise PlanError(f"unknown stage {name!r}; choose from: {', '.join(names)}")
    start = names.index(first) if first else 0
    return names[start : names.index(until) + 1 if until else None]
