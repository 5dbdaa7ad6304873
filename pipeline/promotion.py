"""Putting a model into service by hand, with its publication, and taking that back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.columns import table_of
from pipeline.config import Config
from pipeline.errors import PlanError
from pipeline.fingerprint import digest
from pipeline.runner import Runner
from pipeline.stage import Counts, Result, Unit
from pipeline.work import Job, Staged, stage_rows
from storage.lake import Lake

# A tagger that has seen all folds; a role is that of the newest training.
_ASKED = """
    SELECT DISTINCT m.model_digest, m.label_version, coalesce(
        (SELECT arg_max(p.publication_id, l.seq) FROM promotions p JOIN ledger l USING (work_id)
         WHERE p.model_digest = m.model_digest),
        (SELECT max(u.publication_id) FROM publications u WHERE u.snapshot_id = m.snapshot_id)
    ) AS publication_id
    FROM models m
    WHERE m.fold = -1 AND m.role IN ('baseline', 'retrained', 'fine-tuned')
      AND (starts_with(m.model_digest, $model) OR m.role = $model
           AND m.model_digest IN (SELECT model_digest FROM current_models))
    ORDER BY m.model_digest LIMIT 2
"""
_BEFORE = """
    SELECT p.model_digest FROM ledger l JOIN promotions p USING (work_id)
    WHERE p.model_digest NOT IN (SELECT model_digest FROM current_promotions)
    ORDER BY l.seq DESC LIMIT 1
"""
_NEWEST = "SELECT * FROM current_ledger WHERE stage = 'gate'"
_OTHERS = """
    SELECT DISTINCT fingerprint FROM ledger WHERE stage = 'gate' AND fingerprint <> $now
    ORDER BY fingerprint
"""


def promote(lake: Path, model: str, decision: str = "promoted") -> dict[str, Any]:
    """Put a tagger of the lake into service, by digest or role, until a better one replaces it.

    The publication that it was decided with, or trained on, is in service with it.

    Raises:
        PlanError: no such tagger, several, or it is in service; or none ever was.
    """
    started = time.perf_counter()
    runner = Runner(lake, Config())
    with runner.lake:
        now = runner.current("gate")
        if now is None:
            raise PlanError(f"{lake}: no model in service yet; `tagwright run` puts one there")
        row = _found(runner.lake, model)
        if row["model_digest"] == runner.lake.scalar("SELECT model_digest FROM current_promotions"):
            raise PlanError(f"{model}: is in service already; see `tagwright models list`")
        row |= {"decision": decision, "reason": "by hand"}
        # The next run must take it for the gate's own word: its fingerprint, and a unit of its own.
        unit = Unit("corpus", digest([row, now["work_id"], now["seq"]]))
        job = Job(
            runner.lake.path, runner.config, runner.cycle, "gate", now["fingerprint"], (unit,)
        )
        row["decided_at"] = datetime.now(UTC).replace(tzinfo=None)
        counts = {unit.id: Counts(1, 1)}
        result = Result({"promotions": table_of("promotions", [row])}, counts, unit.digest)
        files = stage_rows(job, runner.lake, result)
        seconds = time.perf_counter() - started
        runner.commit(Staged(job, files, counts, unit.digest, seconds))
        # What the gate decided before, by whatever settings, is not to come back with them.
        others = runner.lake.query(_OTHERS, {"now": job.fingerprint}).column(0).to_pylist()
        if others:
            (ours,) = runner.lake.query(_NEWEST).to_pylist()
            rows = [ours | {"fingerprint": each} for each in (*others, job.fingerprint)]
            runner.lake.commit({}, rows, "gate")
    return row


def roll_back(lake: Path) -> dict[str, Any]:
    """Put back the model that was in service before this one, and its publication.

    Raises:
        PlanError: no other ever was.
    """
    with Lake.open(lake, read_only=True) as opened:
        before = opened.query(_BEFORE).column(0).to_pylist()
    if not before:
        raise PlanError(f"{lake}: no other model was in service before")
    return promote(lake, before[0], "rolled back")


def _found(lake: Lake, model: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = lake.query(_ASKED, {"model": model}).to_pylist()
    if len(rows) != 1:
        what = "several taggers fit" if rows else "no such tagger of all images"
        raise PlanError(f"{model}: {what}; `tagwright models list` has digests and roles")
    return rows[0]
