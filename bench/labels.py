"""Twenty million mentions: how long until the tags follow a changed label system or threshold?"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from parsing.label_edits import diff, split
from parsing.label_files import starter
from pipeline.config import load_config
from pipeline.labels import adopt
from pipeline.status import tag_stats
from storage.lake import Lake, connect, utc_now
from storage.schemas import TABLES

MENTIONS = 20_000_000
FILE = 2_000_000
PER_CAPTION, PER_IMAGE = 4, 2  # mentions, captions
ZIPF = 1.07  # the slope of real captions' word frequencies


def run(data: Path | None, seeds: tuple[int, ...], out: Path) -> dict[str, Any]:
    """Split a surface form off its tag; change a threshold; each time read all of tag_stats."""
    lake = out / "labels"
    shutil.rmtree(lake, ignore_errors=True)
    seconds_of: dict[str, float] = {}
    seconds_of["make the lake"] = _timed(lambda: _fill(lake, seeds[0]))
    config = load_config(None, [])
    system = starter()
    seconds_of["first label system"] = _timed(lambda: adopt(lake, config, system))
    before = _stats(lake)
    (merged, *_) = [m.surface for m in system.merges if m.tag_id == 1]
    changed = split(system, merged)
    seconds_of["split"] = _timed(lambda: adopt(lake, config, changed))
    started = time.perf_counter()
    after = _stats(lake)
    seconds_of["tag_stats after the split"] = time.perf_counter() - started
    touched = {change.before.split(" ")[0] for change in diff(system, changed)}
    touched |= {change.after.split(" ")[0] for change in diff(system, changed)}
    moved = {str(tag) for tag in before.keys() | after.keys() if before.get(tag) != after.get(tag)}
    seconds_of["threshold"] = _timed(lambda: _threshold(lake, changed.version))
    seconds_of["tag_stats after the threshold"] = _timed(lambda: _stats(lake))
    rows = [{"step": step, "seconds": seconds} for step, seconds in seconds_of.items()]
    together = seconds_of["split"] + seconds_of["tag_stats after the split"]
    notes = [
        f"{MENTIONS:,} mentions of {MENTIONS // PER_CAPTION // PER_IMAGE:,} images",
        f"split and tag_stats: {together:.1f} s",
        f"only the tags of the split changed: {moved <= touched and bool(moved)}",
    ]
    return {"tables": {"after a change": rows}, "notes": notes}


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _stats(lake: Path) -> dict[int, int]:
    with Lake.open(lake, read_only=True) as opened:
        rows = tag_stats(opened).to_pylist()
    return {row["tag_id"]: row["images"] for row in rows}


def _fill(path: Path, seed: int) -> None:
    with Lake.create(path) as lake:
        for number, part in enumerate(_parts(seed)):
            files = {
                table: [lake.stage_file(table, f"part{number}", rows)]
                for table, rows in part.items()
            }
            ledger = [_row("ingest", f"s{number}"), _row("parse", f"s{number}")]
            lake.commit(files, ledger, "bench")


def _row(stage: str, unit: str) -> dict[str, Any]:
    return {
        "work_id": f"{stage}-{unit}", "stage": stage, "unit": unit, "unit_digest": unit,
        "fingerprint": "bench", "artifact": None, "n_in": 1, "n_kept": 1, "n_dropped": 0,
        "n_rejected": 0, "run_id": "bench", "seconds": 0.0,
    }  # fmt: skip


def _parts(seed: int) -> Iterator[dict[str, pa.Table]]:
    """Images, captions and mentions in files of two million mentions."""
    forms = [(s.surface, s.kind) for s in starter().surfaces]
    names = pa.table({"n": range(len(forms)), "surface": [f for f, _ in forms],
                      "kind": [k for _, k in forms]})  # fmt: skip
    weights = 1 / np.arange(1, len(forms) + 1) ** ZIPF
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(forms))
    connection = connect()
    connection.register("names", names)
    for number in range(MENTIONS // FILE):
        drawn = order[rng.choice(len(forms), FILE, p=weights / weights.sum())]
        first = number * FILE
        connection.register("drawn", pa.table({"i": np.arange(first, first + FILE), "n": drawn}))
        made = {
            "mentions": f"""
                SELECT md5((i // {PER_CAPTION})::VARCHAR) AS caption_id,
                       sha256((i // {PER_CAPTION * PER_IMAGE})::VARCHAR) AS image_id,
                       'original' AS source, surface, kind,
                       (8 * (i % {PER_CAPTION}))::INT AS start,
                       (8 * (i % {PER_CAPTION}) + 6)::INT AS "end",
                       's{number}' AS shard_id, 'parse-s{number}' AS work_id
                FROM drawn JOIN names USING (n) ORDER BY i""",
            "captions": f"""
                SELECT md5(i::VARCHAR) AS caption_id, sha256((i // {PER_IMAGE})::VARCHAR)
                       AS image_id, 'a caption' AS text, 'original' AS source,
                       NULL::VARCHAR AS model_digest, 's{number}' AS shard_id,
                       'ingest-s{number}' AS work_id
                FROM range({first // PER_CAPTION}, {(first + FILE) // PER_CAPTION}) t(i)""",
            "images": f"""
                SELECT sha256(i::VARCHAR) AS image_id, 'none' AS uri, i::VARCHAR AS name,
                       640 AS width, 480 AS height, 'JPEG' AS format, 0::BIGINT AS bytes,
                       'train' AS split, i AS fold_key, 's{number}' AS shard_id,
                       'ingest-s{number}' AS work_id
                FROM range({first // PER_CAPTION // PER_IMAGE},
                           {(first + FILE) // PER_CAPTION // PER_IMAGE}) t(i)""",
        }
        yield {table: connection.execute(sql).to_arrow_table() for table, sql in made.items()}


def _threshold(path: Path, version: str) -> None:
    """One threshold of one tag, as `calibrate` commits them."""
    row = {"label_version": version, "fold": 0, "tag_id": 1, "generate": 0.7, "support": 0.4,
           "doubt": 0.2, "positives": 1, "work_id": "calibrate-corpus"}  # fmt: skip
    schema = TABLES["thresholds"].schema
    with Lake.open(path) as lake:
        rows = pa.Table.from_pylist([row], schema=schema)
        files = {"thresholds": [lake.stage_file("thresholds", "bench", rows)]}
        lake.commit(files, [_row("calibrate", "corpus")], f"bench {utc_now():%H%M}")
