"""Wrong tags planted into the captions' tags of real photos: how many does cleaning find?

`data` holds captions.csv (image, caption) and images/. A lake is filled and its pictures encoded
once; each seed works on a copy of it. One tag in ten is planted: for the image of a caption tag
drawn at random, a tag drawn as often as captions name it, that no caption of this image does. It
is written as a mention of one of the image's captions, after the label system is built and before
anything is trained: a made-up sentence would have to get through the parser, which only reads
some kinds of tags from it, and would teach the captioner to write such sentences. Captions leave
things out, so some planted tags are in the picture after all: figures are lower bounds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.generation import held_out_regression
from bench.given import digest_of, number
from bench.lakes import copy_lake, left_out, run_stages
from bench.peers import ours, peers
from bench.planted import median_of
from bench.ranking import Method, Pair, as_row, compare
from model.metrics import log_odds
from pipeline.config import Config, load_config
from pipeline.dataset import CAPTION_TAGS, LABELS, TRAIN_FEATURES, images_of, multi_hot
from pipeline.dataset import vocabulary_of as labels_of
from pipeline.errors import PlanError, SourceError
from pipeline.fingerprint import digest
from pipeline.ingest import ingest
from pipeline.readers import ReaderOptions, open_source
from pipeline.reporting import Quiet
from storage.lake import Lake
from storage.schemas import TABLES

WRONG = 0.1
PLANT = "plant"
"""The ledger's name for what put the planted mentions there."""
_SAID = """
    SELECT c.image_id, c.tag_id, l.name AS surface, l.kind,
           (SELECT min(caption_id) FROM current_captions k
            WHERE k.image_id = c.image_id AND k.source = 'original') AS caption_id,
           i.shard_id
    FROM candidate_tags c JOIN current_labels l USING (tag_id)
    JOIN current_images i ON i.image_id = c.image_id
    WHERE c.in_caption AND c.split = 'train' ORDER BY c.image_id, c.tag_id
"""
_PLANTED = f"""
    SELECT DISTINCT m.image_id, s.tag_id FROM current_mentions m
    JOIN current_label_surfaces s ON s.surface = m.surface AND s.kind = m.kind
    WHERE m.work_id IN (SELECT work_id FROM current_ledger WHERE stage = '{PLANT}')
"""


def run(
    data: Path | None, seeds: tuple[int, ...], out: Path, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One copy of the lake per seed, then the median; `settings` may hold `wrong`, the share."""
    if data is None:
        raise SourceError("bench photos: --data DIR is needed, with captions.csv and images/")
    if unknown := set(settings or {}) - {"wrong"}:
        raise PlanError(f"bench photos: takes wrong=SHARE alone, not {', '.join(sorted(unknown))}")
    wrong = number(settings or {}, "wrong", WRONG)
    if not 0 <= wrong < 1:
        raise PlanError(f"--set wrong={wrong}: give a share, 0 or more and below 1")
    base = out / f"photos-{digest_of(data)}"
    notes = _fill(base, data)
    found = {
        seed: _one(base, base.with_name(f"{base.name}-{seed}-{wrong}"), seed, wrong)
        for seed in seeds
    }
    rows = {
        name: median_of([one["by"][name] for one in found.values()])
        for name in next(iter(found.values()))["by"]
    }
    tables = {
        f"seed {seed}: {one['wrong']} planted, {one['right']} of captions, {one['seconds']:.0f} s":
        [as_row(name, figures) for name, figures in one["by"].items()]
        for seed, one in found.items()
    }  # fmt: skip
    tables["median"] = [as_row(name, figures) for name, figures in rows.items()]
    return {"cleaning": rows, "seeds": found, "tables": tables, "notes": notes}


def _fill(path: Path, data: Path) -> list[str]:
    config = _config(0)
    if not (path / "lake.toml").exists():
        Lake.create(path).close()
    with Lake.open(path) as lake:
        records = open_source(data / "captions.csv", "csv", ReaderOptions(images=data / "images"))
        ingest(lake, records, config.ingest, split="train", reporter=Quiet())
        notes = left_out(lake)
    run_stages(path, config, until="encode")
    return notes


def _config(seed: int) -> Config:
    return load_config(None, [f"seed={seed}"])


def _one(base: Path, path: Path, seed: int, wrong: float) -> dict[str, Any]:
    started = time.perf_counter()
    if not path.exists():
        copy_lake(base, path)
    config = _config(seed)
    with Lake.open(path) as lake:
        plant(lake, seed, wrong)
    run_stages(path, config, until="clean")
    with Lake.open(path, read_only=True) as lake:
        said, planted = _pairs(lake, CAPTION_TAGS), set(_pairs(lake, _PLANTED))
        methods = {"adaptive": ours(lake), **peers(lake, config)}
        methods["logistic regression"] = _by_regression(lake, config, wrong)
    right = np.array([pair not in planted for pair in said], bool)
    return {
        "wrong": int((~right).sum()), "right": int(right.sum()),
        "by": {name: compare(said, right, method) for name, method in methods.items()},
        "seconds": time.perf_counter() - started,
    }  # fmt: skip


def plant(lake: Lake, seed: int, wrong: float) -> None:
    """Plant wrong tags until they are that share of the captions' tags; once for a lake."""
    if lake.scalar("SELECT count(*) FROM ledger WHERE stage = $plant", {"plant": PLANT}):
        return
    said = lake.query(_SAID).to_pylist()
    words = {row["tag_id"]: {"surface": row["surface"], "kind": row["kind"]} for row in said}
    count = round(len(said) * wrong / (1 - wrong))
    drawn = wrong_pairs([(row["image_id"], row["tag_id"]) for row in said], count, seed)
    rows = [
        {name: said[host][name] for name in ("caption_id", "image_id", "shard_id")}
        | words[tag]
        | {"source": "original", "start": 0, "end": 0}
        for host, tag in drawn
    ]
    work = digest([PLANT, seed, wrong])
    table = pa.Table.from_pylist(
        [row | {"work_id": work} for row in rows], schema=TABLES["mentions"].schema
    )
    ledger = {
        "work_id": work, "stage": PLANT, "unit": "corpus", "unit_digest": work,
        "fingerprint": PLANT, "artifact": None, "n_in": count, "n_kept": count, "n_dropped": 0,
        "n_rejected": 0, "run_id": PLANT, "seconds": 0.0,
    }  # fmt: skip
    lake.commit({"mentions": [lake.stage_file("mentions", work, table)]}, [ledger], PLANT)


def wrong_pairs(said: list[Pair], count: int, seed: int) -> list[tuple[int, int]]:
    """For each wrong tag the place in `said` of a tag of its image, drawn at random, and the tag:
    drawn as often as it is said, and not said of that image nor drawn for it before. An image that
    has them all gets none."""
    random = np.random.default_rng([seed, 7])
    tags, column = np.unique([tag for _, tag in said], return_inverse=True)
    often = np.bincount(column).astype(float)
    taken: dict[str, set[int]] = {}
    for (image, _), own in zip(said, column.tolist(), strict=True):
        taken.setdefault(image, set()).add(own)
    drawn = []
    for host in random.integers(len(said), size=count).tolist():
        own_tags = taken[said[host][0]]
        free = often.copy()
        free[list(own_tags)] = 0
        if not free.any():
            continue
        chosen = int(random.choice(len(tags), p=free / free.sum()))
        own_tags.add(chosen)
        drawn.append((host, int(tags[chosen])))
    return drawn


def _pairs(lake: Lake, sql: str) -> list[Pair]:
    rows = lake.query(sql).to_pydict()
    return list(zip(rows["image_id"], rows["tag_id"], strict=True))


def _by_regression(lake: Lake, config: Config, wrong: float) -> Method:
    """One logistic regression per tag on the pictures' mean features, fitted without the fold it
    judges. Log-odds are compared with those of the images without the tag, as raw ones only tell
    rare tags from frequent ones. Its cut is the share that was planted, which it is told."""
    images, labels = images_of(lake.query(TRAIN_FEATURES)), labels_of(lake.query(LABELS))
    given = multi_hot(images, labels, lake.query(CAPTION_TAGS))
    scores = held_out_regression(images, config.encode.encoder, given, config.baseline.folds)
    # A fold without enough examples of a tag leaves its scores at 0.
    judged = scores > 0
    absent = judged & (given == 0)
    odds = log_odds(scores)
    usual = (odds * absent).sum(axis=0) / np.maximum(absent.sum(axis=0), 1)
    suspicion = {
        (images.ids[row], labels.tag_ids[column]): float(usual[column] - odds[row, column])
        for row, column in np.argwhere(judged & (given > 0)).tolist()
    }
    most = sorted(suspicion, key=lambda pair: -suspicion[pair])
    return Method(set(most[: round(len(most) * wrong)]), suspicion)
