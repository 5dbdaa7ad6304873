"""What an interrupted run left: shards and tags that only a part of the stages has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from model.errors import ModelError
from pipeline.config import Config
from pipeline.plan import CYCLE
from pipeline.stage import Stage, Unit
from pipeline.work import work_id

if TYPE_CHECKING:
    from pipeline.runner import Runner

LAST = "clean"
_PARTS = {"shard": "shards", "tag": "tags", "corpus": "parts"}
# Shards that were never parsed have no tags yet: they are new, not half done.
_SHARDS = """
    WITH newest AS (
        SELECT stage, max_by(fingerprint, seq) AS fingerprint FROM current_ledger GROUP BY stage
    ), done AS (
        SELECT stage, unit, unit_digest FROM current_ledger
        SEMI JOIN newest USING (stage, fingerprint)
    ), begun AS (
        SELECT unit, unit_digest FROM current_ledger WHERE stage = 'parse'
    ), wanted AS (
        SELECT * FROM begun,
            (SELECT unnest($stages) AS stage, unnest(range(len($stages))) AS place)
    )
    SELECT stage, count(*) AS units, (SELECT count(*) FROM begun) AS of_all
    FROM wanted ANTI JOIN done USING (stage, unit, unit_digest)
    GROUP BY stage, place ORDER BY place
"""
# A tag that lost its regions is retired with the fingerprint of what it was judged by.
_TAGS = """
    WITH judged AS (
        SELECT * FROM current_ledger WHERE stage = $stage AND unit_digest <> 'none'
    )
    SELECT unit, unit_digest FROM judged
    WHERE fingerprint = (SELECT max_by(fingerprint, seq) FROM judged)
"""
_NEWEST = """
    SELECT l.stage, l.fingerprint, r.cycle, r.config
    FROM current_ledger l JOIN runs r USING (run_id)
    WHERE list_contains($stages, l.stage) AND l.unit_digest <> 'none'
    ORDER BY l.seq DESC LIMIT 1
"""


def half_done(runner: Runner) -> str | None:
    """What is not done for all that was begun, in words; None where nothing is.

    By the ledger alone, whatever settings there were, and, between two stages, by those of the run
    that has got farthest.
    """
    return _within_a_stage(runner) or _between_stages(runner)


def _before() -> list[type[Stage]]:
    names = list(CYCLE)
    return [CYCLE[name] for name in names[: names.index(LAST) + 1]]


def _within_a_stage(runner: Runner) -> str | None:
    """Shards of a stage that was begun anew have two fingerprints until it is through."""
    lake, shards = runner.lake, [stage.name for stage in _before() if stage.unit == "shard"]
    for row in lake.query(_SHARDS, {"stages": shards}).slice(0, 1).to_pylist():
        return f"`{row['stage']}` of {row['units']} of {row['of_all']} shards"
    tags = runner.units(CYCLE[LAST](runner.config, runner.cycle))
    done = set(zip(*lake.query(_TAGS, {"stage": LAST}).to_pydict().values(), strict=True))
    left = sum((tag.id, tag.digest) not in done for tag in tags)
    return f"`{LAST}` of {left} of {len(tags)} tags" if left else None


def _between_stages(runner: Runner) -> str | None:
    """What later stages have left, by the settings of the newest work of any.

    Nothing where those are unknown today: of another version, or with weights that are gone. Nor
    after an edit of the label system, which tags follow without a run.
    """
    names = [stage.name for stage in _before()]
    newest = runner.lake.query(_NEWEST, {"stages": names}).to_pylist()
    if not newest or CYCLE[newest[0]["stage"]].edited:
        return None
    try:
        config = Config.model_validate_json(newest[0]["config"])
        then = type(runner)(runner.lake.path, config, cycle=newest[0]["cycle"])
        if then.fingerprint(newest[0]["stage"]) != newest[0]["fingerprint"]:
            return None
        new = {unit.id for unit in _left(then, CYCLE["parse"])}
        for stage in _before():
            if not stage.edited and (left := [u for u in _left(then, stage) if u.id not in new]):
                return f"`{stage.name}` of {len(left)} {_PARTS[stage.unit]}"
    except (ModelError, ValidationError):
        return None
    return None


def _left(runner: Runner, kind: type[Stage]) -> list[Unit]:
    """The units of a stage whose newest work is not what its settings ask for."""
    stage, fingerprint = kind(runner.config, runner.cycle), runner.fingerprint(kind.name)
    current = runner.current(kind.name) if stage.pinned else None
    if current and current["fingerprint"] == fingerprint:
        return []
    asked = "SELECT work_id FROM current_ledger WHERE stage = $stage"
    done = set(runner.lake.query(asked, {"stage": kind.name}).column(0).to_pylist())
    return [u for u in runner.units(stage) if work_id(kind.name, u, fingerprint) not in done]
