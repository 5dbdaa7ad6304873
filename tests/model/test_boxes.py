"""Boxes around evidence, and the evidence itself against the read-out it comes from."""

from __future__ import annotations

import numpy as np
import torch

from model.boxes import boxes_of, evidence
from model.regions import pool_regions, seen_regions
from model.train import train_tagger
from tests.model.helpers import CHANNELS, SMALL, queries, scenes


def heat(*spots: tuple[int, int, int, int], grid: int = 14) -> np.ndarray:
    """0 everywhere but in spots of rows and columns from, to."""
    values = np.zeros((grid, grid), np.float32)
    for top, left, bottom, right in spots:
        values[top:bottom, left:right] = 1
    return values


def test_a_spot_is_boxed() -> None:
    (box,) = boxes_of(heat((3, 5, 8, 11)), 2)
    np.testing.assert_allclose(box * 14, [5, 3, 11, 8], atol=0.8)


def test_spots_apart_are_boxed_apart_and_the_surest_comes_first() -> None:
    both = heat((0, 0, 4, 4)) + 1.1 * heat((9, 9, 14, 14))
    first, second = boxes_of(both, 2)
    assert first[0] > 0.5 > second[2]
    assert len(boxes_of(both, 1)) == 1


def test_a_flat_map_is_boxed_whole() -> None:
    for level in (0, 0.1, 1, -3.7):
        for grid in (12, 14, 24):
            (box,) = boxes_of(np.full((grid, grid), level, np.float32), 2)
            assert box.tolist() == [0, 0, 1, 1]


def test_evidence_is_the_read_out_without_pooling() -> None:
    features, targets = scenes(40, 4)
    tagger = train_tagger(features, targets, queries(4), SMALL)
    positions = features[0].astype(np.float32)
    maps = evidence(tagger, positions, np.array([2, 0]))
    state = (torch.from_numpy(positions[10]) - tagger.mean) / tagger.std
    by_hand = (tagger.readout.weight[[2, 0]] @ state).detach().numpy()
    np.testing.assert_allclose(maps[:, 1, 3], by_hand, rtol=1e-4, atol=1e-4)


def test_seen_regions_pool_where_the_label_is() -> None:
    features, targets = scenes(96, 3)
    tagger = train_tagger(features, targets, queries(3), SMALL)
    blank = np.full((2, 49, CHANNELS), 0.5, np.float16)
    for row in (0, 1, 7, 8):
        blank[1, row, 1] += 8  # label 1 fills the upper left corner of the second image
    pooled = seen_regions(tagger, blank, np.array([1, 0, 1]), np.array([1, 2, 0]))
    assert pooled.shape == (3, CHANNELS)
    corner = pool_regions(blank, np.array([1]), np.array([[0, 0, 2 / 7, 2 / 7]], np.float32))
    assert pooled[0, 1] > 0.5 * corner[0, 1]
    assert pooled[1, 1] < 1
