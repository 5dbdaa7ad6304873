"""The body of every flow: one Prefect task per stage and group of shards; ids travel, not data.

The ledger is the cache and the truth: a task that is retried, or a flow that is started again,
finds what is committed and does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from pipeline.config import Config, load_config
from pipeline.errors import PipelineError, WorkerKilled
from pipeline.returned import told_missed
from pipeline.runner import Runner, stage_names
from pipeline.work import cores

GROUP = 16
"""Units of work per task, so that a task is about half a minute of work or more."""


def may_go_well(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether it is worth to try again: not where the lake or the settings must be changed."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, WorkerKilled) or not isinstance(error, PipelineError)


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_condition_fn=may_go_well,
    retry_delay_seconds=[2, 10],
    task_run_name="{stage} [{count} units]",
)
def run_units(
    lake: str, config: str, stage: str, units: list[str], forced: bool, count: int
) -> int:
    """Run those units of a stage that are not done yet; returns how many that were."""
    runner = Runner(Path(lake), Config.model_validate_json(config), workers=cores())
    wanted = set(units)
    jobs = [job for job in runner.pending(stage, forced) if {u.id for u in job.units} & wanted]
    done = runner.run_jobs(jobs, f"prefect {stage}")
    get_run_logger().info("%s: %d of %d units done", stage, done, count)
    return done


def run_stages(
    lake: str, config: str | None, settings: Sequence[str],
    first: str | None, until: str | None, forced: frozenset[str] = frozenset(),
) -> dict[str, int]:  # fmt: skip
    """Run the stages in order; returns the units done at each that had any to do.

    Raises:
        PlanError: as `Runner.run`, before any task.
    """
    loaded = load_config(Path(config) if config else None, settings)
    names = stage_names(first, until)
    Runner(Path(lake), loaded).check(names)
    done: dict[str, int] = {}
    try:
        for stage in names:
            # Looked at anew before each stage: what is pending depends on what earlier ones did.
            jobs = Runner(Path(lake), loaded).pending(stage, stage in forced)
            units = [unit.id for job in jobs for unit in job.units]
            for start in range(0, len(units), _group(stage)):
                part = units[start : start + _group(stage)]
                done[stage] = done.get(stage, 0) + run_units(
                    lake, loaded.model_dump_json(), stage, part, stage in forced, len(part)
                )
    finally:
        # What could not be read may be why it failed.
        if missed := told_missed(Runner(Path(lake), loaded).lake):
            get_run_logger().warning("%s", missed)
    return done


def _group(stage: str) -> int:
    """Tags are judged in the runner's own large groups; shards in groups of a task's length."""
    return 1_000_000 if stage == "clean" else GROUP
