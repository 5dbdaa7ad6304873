"""What an interrupted run left: shards and tags that only a part of the stages has seen."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.stage import Unit
from storage.lake import Lake

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
_TAGS = """
    SELECT unit, unit_digest FROM current_ledger
    WHERE stage = $stage AND fingerprint =
        (SELECT max_by(fingerprint, seq) FROM current_ledger WHERE stage = $stage)
"""


def half_done(
    lake: Lake, shard_stages: Sequence[str], tag_stage: str, tags: Sequence[Unit]
) -> str | None:
    """The first stage that is not done for all that was begun, in words; None where none is.

    `shard_stages` are in the order of the cycle, `tags` the units of `tag_stage`. Shards of a stage
    that was begun anew, by other settings, have two fingerprints until it is through.
    """
    for row in lake.query(_SHARDS, {"stages": list(shard_stages)}).slice(0, 1).to_pylist():
        return f"`{row['stage']}` of {row['units']} of {row['of_all']} shards"
    done = set(zip(*lake.query(_TAGS, {"stage": tag_stage}).to_pydict().values(), strict=True))
    left = sum((tag.id, tag.digest) not in done for tag in tags)
    return f"`{tag_stage}` of {left} of {len(tags)} tags" if left else None
