"""A million regions of 4,585 tags: the outlier rule's verdicts beside a plain scikit-learn loop.

Regions are unit vectors of 512 numbers around a few looks per tag, a tenth of them elsewhere; tags
are as unequal as words (Zipf). They lie in a file, so that memory is what the work needs. Two
processes judge all tags; then one thread runs `KMeans(init="k-means++", n_init=1)` per tag.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench.given import number
from model.windows import floats
from pipeline.clustering import fit_centres, nearest
from pipeline.columns import Floats
from pipeline.config import CleanConfig
from pipeline.dataset import Ints
from pipeline.errors import PlanError
from pipeline.rules.base import TagEvidence
from pipeline.rules.noise import CERTAIN, PRIOR_SHARE
from pipeline.rules.outlier import clusters_for, outlier

REGIONS, TAGS, CHANNELS = 1_000_000, 4_585, 512
WORKERS, LOOKS, SPREAD, STRAY = 2, 6, 1.5, 0.1
PIECES = 64
"""Groups of tags that are handed out; each has about as many regions."""


def run(
    data: Path | None, seeds: tuple[int, ...], out: Path, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Both ways on the same regions; `--set regions=N` for a shorter look."""
    given = {"regions": REGIONS, **(settings or {})}
    if len(given) > 1:
        raise PlanError(f"--set: clusters takes regions=N alone, not {', '.join(given)}")
    count = number(given, "regions", REGIONS)
    if count < TAGS:
        raise PlanError(f"--set regions={count}: at least one a tag, {TAGS}")
    rows = [_one(out, count, seed) for seed in seeds]
    return {"tables": {f"{count:,} regions, {TAGS:,} tags": rows}, "notes": []}


def _one(out: Path, count: int, seed: int) -> dict[str, Any]:
    sizes = _sizes(count)
    file = _write(out, sizes, seed)
    edges = np.concatenate([[0], np.cumsum(sizes)])
    tags = [(int(low), int(high)) for low, high in pairwise(edges)]
    order = sorted(range(TAGS), key=lambda tag: -sizes[tag])
    pieces = [[tags[tag] for tag in order[start::PIECES]] for start in range(PIECES)]
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        # The loop, too, starts with everything imported.
        list(pool.map(partial(_judge, file, seed), [tags[-50:]] * WORKERS))
        started = time.perf_counter()
        found = list(pool.map(partial(_judge, file, seed), pieces))
        ours = time.perf_counter() - started
        tight = sum(pool.map(partial(_inertia, file, seed), pieces))
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    memory = (WORKERS * of_children + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 2**20
    started = time.perf_counter()
    loop = _loop(file, tags, seed)
    theirs = time.perf_counter() - started
    return {
        "seed": seed, "verdicts": sum(found), "two workers, s": ours,
        "scikit-learn loop, s": theirs,
        "times faster": theirs / ours, "inertia over the loop's": tight / loop,
        "memory at most, GiB": memory,
    }  # fmt: skip


def _sizes(count: int) -> Ints:
    """Regions per tag: as 1 over its rank, at least one, `count` in all."""
    share = 1 / np.arange(1, TAGS + 1)
    sizes = np.maximum(1, np.floor((count - TAGS) * share / share.sum())).astype(np.int64)
    sizes[0] += count - int(sizes.sum())
    result: Ints = sizes
    return result


def _write(out: Path, sizes: Ints, seed: int) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"regions-{sizes.sum()}-{seed}.f16"
    rng = np.random.default_rng(seed)
    with file.open("wb") as handle:
        for size in sizes:
            looks = rng.normal(size=(LOOKS, CHANNELS)).astype(np.float32)
            points = looks[rng.integers(0, LOOKS, size)]
            points[rng.random(size) < STRAY] = 0
            points += SPREAD * rng.standard_normal((size, CHANNELS), np.float32)
            handle.write((points / np.linalg.norm(points, axis=1, keepdims=True)).astype("f2"))
    return file


def _read(file: Path, tags: list[tuple[int, int]]) -> Iterator[Floats]:
    """The regions (R, D) of one tag after the other."""
    regions = np.memmap(file, np.float16, "r").reshape(-1, CHANNELS)
    for low, high in tags:
        yield floats(regions[low:high].copy()).numpy()


def _judge(file: Path, seed: int, tags: list[tuple[int, int]]) -> int:
    """Verdicts of the outlier rule on some tags; scores are drawn, for the rule asks for them."""
    rng = np.random.default_rng(seed)
    verdicts = 0
    for features in _read(file, tags):
        size = len(features)
        names = [""] * size
        chance = rng.random(size).astype(np.float32)
        evidence = TagEvidence(
            "tag", "object", names, np.ones(size, np.bool_), chance, chance[:0],
            rng.random(100).astype(np.float32), 1.0, CERTAIN, PRIOR_SHARE, 0.0, np.arange(size),
            names, features, chance, chance, names, np.zeros(size, np.bool_),
        )  # fmt: skip
        verdicts += len(outlier(evidence, CleanConfig(), seed).drop)
    return verdicts


def _inertia(file: Path, seed: int, tags: list[tuple[int, int]]) -> float:
    total = 0.0
    for points in _read(file, tags):
        centres = fit_centres(points, clusters_for(len(points)), seed)
        total += float(np.square(nearest(points, centres)[1], dtype=np.float64).sum())
    return total


def _loop(file: Path, tags: list[tuple[int, int]], seed: int) -> float:
    from sklearn.cluster import KMeans

    total = 0.0
    with threadpool_limits(1):
        for points in _read(file, tags):
            clusters = clusters_for(len(points))
            kmeans = KMeans(clusters, init="k-means++", n_init=1, random_state=seed)
            total += float(kmeans.fit(points).inertia_)
    return total
