"""Clustering of regions: as good as scikit-learn's, whatever the order, and one thread."""

from __future__ import annotations

from random import Random

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from pipeline.clustering import fit_centres, nearest
from pipeline.errors import PipelineError


def regions(count: int, seed: int = 0, channels: int = 16) -> np.ndarray:
    """Noisy unit vectors around six centres."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(6, channels))[rng.integers(0, 6, count)]
    points = points + 0.7 * rng.normal(size=(count, channels))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("count", "clusters"), [(60, 2), (400, 8), (12_000, 8)])
def test_clusters_are_as_tight_as_scikit_learns(count: int, clusters: int) -> None:
    ours, theirs = [], []
    for seed in range(5):
        points = regions(count, seed)
        ours.append(np.square(nearest(points, fit_centres(points, clusters, seed))[1]).sum())
        theirs.append(KMeans(clusters, n_init=1, random_state=seed).fit(points).inertia_)
    assert np.sum(ours) <= 1.01 * np.sum(theirs)


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 80), st.integers(1, 4), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(count: int, clusters: int, chance: Random) -> None:
    points = regions(count)
    order = list(range(count))
    chance.shuffle(order)
    assert np.array_equal(fit_centres(points, clusters, 0), fit_centres(points[order], clusters, 0))


def test_the_order_changes_nothing_where_first_channels_are_silent() -> None:
    points = regions(3000)
    points[:, :10] = 0
    order = np.random.default_rng(1).permutation(3000)
    assert np.array_equal(fit_centres(points, 5, 0), fit_centres(points[order], 5, 0))


def test_the_same_seed_gives_the_same_centres() -> None:
    points = regions(5000)
    assert np.array_equal(fit_centres(points, 8, 3), fit_centres(points, 8, 3))


def test_rare_looks_far_away_get_a_centre() -> None:
    """K-Means++ starts far apart; starts drawn at random would all lie in the largest look."""
    rng = np.random.default_rng(0)
    looks = np.eye(5, 16)[np.repeat(np.arange(5), [960, 10, 10, 10, 10])]
    points = (looks + 0.01 * rng.normal(size=looks.shape)).astype(np.float32)
    assert all(nearest(points, fit_centres(points, 5, seed))[1].max() < 0.2 for seed in range(5))


def test_the_nearest_centre_is_the_nearest() -> None:
    points, centres = regions(50), regions(5, seed=1)
    apart = np.linalg.norm(points[:, None] - centres[None], axis=2)
    label, away = nearest(points, centres)
    assert np.array_equal(label, apart.argmin(axis=1))
    np.testing.assert_allclose(away, apart.min(axis=1), atol=1e-4)


def test_one_region_and_equal_regions() -> None:
    one = regions(1)
    assert np.allclose(fit_centres(one, 1, 0), one)
    same = np.repeat(one, 40, axis=0)
    label, away = nearest(same, fit_centres(same, 2, 0))
    assert away.max() < 1e-3
    assert len(label) == 40


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    points = regions(30)
    points[4, 2] = value
    with pytest.raises(PipelineError, match="no numbers"):
        fit_centres(points, 2, 0)
    with pytest.raises(PipelineError, match="no numbers"):
        nearest(points, regions(2))


def test_more_clusters_than_regions_are_refused() -> None:
    with pytest.raises(ValueError, match="3 regions cannot make 4"):
        fit_centres(regions(3), 4, 0)


def test_threads_are_as_they_were() -> None:
    faiss.omp_set_num_threads(2)
    fit_centres(regions(100), 3, 0)
    assert faiss.omp_get_max_threads() == 2
