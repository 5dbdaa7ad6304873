"""K-Means++ over the regions of a tag, from one region to a million.

The kernel is faiss (MIT), on one thread: for the sizes that tags have many times as fast as
scikit-learn's (`tagwright bench clusters`). Centres are fitted on a sample, for a mean of some
hundred points is known well enough; every region is then assigned. faiss seeds with one candidate
a step, which with clear clusters leaves some without a centre; here, as in scikit-learn, the best
of several is taken (Arthur and Vassilvitskii 2007, section 7), so that one run is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

from pipeline.columns import Floats
from pipeline.dataset import Ints
from pipeline.errors import PipelineError

STEPS = 12
ENOUGH = 1e-4
"""Relative gain of a step below which a run ends."""
SAMPLED = 256
"""Points per cluster that centres are fitted on."""
SEEDED = 64
"""Points per cluster that the first centres are chosen of."""
CANDIDATES = 8
"""Points that are tried for each further first centre."""
_NO_NUMBERS = (
    "region features hold values that are no numbers, as of damaged weights; see that the "
    "encoder's are whole, and encode and ground again"
)


def fit_centres(points: Floats, clusters: int, seed: int) -> Floats:
    """Centres (K, D) of points (R, D), the same for any order of the rows.

    Raises:
        ValueError: fewer points than clusters, or a point that is no number.
    """
    if len(points) < clusters:
        raise ValueError(f"{len(points)} regions cannot make {clusters} clusters")
    rows = evenly(projected(points), SAMPLED * clusters)
    sample = np.ascontiguousarray(points[rows], np.float32)
    if clusters == 1:
        mean: Floats = sample.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
        return mean
    import faiss

    settings = faiss.ClusteringParameters()
    settings.niter, settings.seed, settings.early_stop_threshold = STEPS, seed, ENOUGH
    settings.max_points_per_centroid, settings.min_points_per_centroid = SAMPLED, 1
    clustering = faiss.Clustering(points.shape[1], clusters, settings)
    faiss.copy_array_to_vector(_first_centres(sample, clusters, seed).ravel(), clustering.centroids)
    with _row_by_row():
        clustering.train(sample, faiss.IndexFlatL2(points.shape[1]))
    centres: Floats = faiss.vector_to_array(clustering.centroids).reshape(clusters, -1).copy()
    return centres


def distances_to(points: Floats, centres: Floats) -> Floats:
    """The distance (R, K) of each point (R, D) to each centre (K, D).

    That of a point does not depend on the points beside it.

    Raises:
        PipelineError: a point is no number.
    """
    import faiss

    index = faiss.IndexFlatL2(points.shape[1])
    index.add(np.ascontiguousarray(centres, np.float32))
    with _row_by_row():
        squared, label = index.search(np.ascontiguousarray(points, np.float32), len(centres))
    if label.min(initial=0) < 0:  # it is near to nothing
        raise PipelineError(_NO_NUMBERS)
    away: Floats = np.empty_like(squared)
    np.put_along_axis(away, label, np.sqrt(squared), axis=1)
    return away


def nearest(points: Floats, centres: Floats) -> tuple[Ints, Floats]:
    """The nearest centre (R,) of each point (R, D), and how far it is (R,)."""
    away = distances_to(points, centres)
    label = away.argmin(axis=1)
    return label, away[np.arange(len(away)), label]


def projected(points: Floats) -> Floats:
    """Where points (R, D) lie along one direction (R,).

    An order that is the points' own; single channels are often 0 for many regions.

    Raises:
        PipelineError: a point is no number.
    """
    places: Floats = np.einsum("rd,d->r", points, _direction(points.shape[1]))
    if not np.isfinite(places).all():
        raise PipelineError(_NO_NUMBERS)
    return places


def evenly(values: Floats, most: int) -> Ints:
    """Up to `most` rows of values (R,), evenly along their order."""
    order = np.argsort(values, kind="stable")
    if len(order) <= most:
        return order
    return order[np.linspace(0, len(order) - 1, most).round().astype(np.int64)]


def _first_centres(sample: Floats, clusters: int, seed: int) -> Floats:
    """K-Means++: points far from those before, each the best of some candidates."""
    every = max(1, len(sample) // (SEEDED * clusters))
    points = np.ascontiguousarray(sample[::every])
    chance = np.random.default_rng(seed)
    chosen = [int(chance.integers(len(points)))]
    left = np.square(distances_to(points, points[chosen])[:, 0])
    for _ in range(clusters - 1):
        total = np.cumsum(left, dtype=np.float64)
        drawn = np.searchsorted(total, chance.random(CANDIDATES) * total[-1])
        rows = np.minimum(drawn, len(points) - 1)
        then = np.minimum(np.square(distances_to(points, points[rows])), left[:, None])
        best = int(then.sum(axis=0).argmin())
        chosen.append(int(rows[best]))
        left = then[:, best]
    centres: Floats = points[chosen]
    return centres


@lru_cache(maxsize=8)
def _direction(channels: int) -> Floats:
    return np.random.default_rng(0).standard_normal(channels, np.float32)


@contextmanager
def _row_by_row() -> Iterator[None]:
    """One thread, and no matrix products: what a point gets depends on nothing but itself.

    Tags are shared among processes, and their regions come in batches.
    """
    import faiss

    threads, products = faiss.omp_get_max_threads(), faiss.cvar.distance_compute_blas_threshold
    faiss.omp_set_num_threads(1)
    faiss.cvar.distance_compute_blas_threshold = 1 << 30
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
        faiss.cvar.distance_compute_blas_threshold = products
