"""Pooling over boxes against a slow reference that samples points, and scores of regions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model.regions import cell_weights, pool_regions, region_scores
from model.train import train_tagger
from tests.model.helpers import CHANNELS, SMALL, Floats, Halves, queries, scenes


def slow_pool(
    positions: Halves, box: Floats, grid: int, samples: int = 700
) -> npt.NDArray[np.float64]:
    """Mean feature of the box: sample it densely and look up the cell of each point."""
    x = box[0] + (np.arange(samples) + 0.5) / samples * (box[2] - box[0])
    y = box[1] + (np.arange(samples) + 0.5) / samples * (box[3] - box[1])
    columns, rows = (np.minimum((v * grid).astype(int), grid - 1) for v in (x, y))
    cells = positions.astype(np.float64).reshape(grid, grid, -1)
    share_y = np.bincount(rows, minlength=grid) / samples
    share_x = np.bincount(columns, minlength=grid) / samples
    result: npt.NDArray[np.float64] = np.einsum("y,x,yxc->c", share_y, share_x, cells)
    return result


def test_pooling_is_the_slow_reference() -> None:
    rng = np.random.default_rng(0)
    features = rng.random((3, 49, CHANNELS)).astype(np.float16)
    corner = rng.random((40, 2)) * 0.6
    boxes = np.concatenate([corner, corner + 0.05 + rng.random((40, 2)) * 0.35], 1)
    boxes = boxes.astype(np.float32)
    image = rng.integers(0, 3, 40)
    pooled = pool_regions(features, image, boxes)
    slow = [slow_pool(features[i], box, 7) for i, box in zip(image, boxes, strict=True)]
    # The fast way widens each box by a thousandth of a cell, hence not closer.
    np.testing.assert_allclose(pooled, np.stack(slow), atol=5e-3)


def test_whole_image_is_the_mean_and_one_cell_is_that_cell() -> None:
    features = np.random.default_rng(1).random((1, 49, CHANNELS)).astype(np.float16)
    cell = np.array([[0, 0, 1, 1], [2 / 7, 1 / 7, 3 / 7, 2 / 7]], np.float32)
    pooled = pool_regions(features, np.zeros(2, np.int64), cell)
    np.testing.assert_allclose(pooled[0], features[0].astype(np.float32).mean(0), atol=2e-3)
    np.testing.assert_allclose(pooled[1], features[0, 1 * 7 + 2], atol=5e-3)


@pytest.mark.parametrize("box", [(0.5, 0.5, 0.5, 0.5), (1, 1, 1, 1), (-1, -1, 2, 2), (0, 0, 0, 1)])
def test_degenerate_boxes_still_weigh_one(box: tuple[float, ...]) -> None:
    weights = cell_weights(np.array([box], np.float32), 7)
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert (weights >= 0).all()


def test_region_scores_know_what_lies_under_the_box() -> None:
    features, targets = scenes(96, 4, grid=4)
    tagger = train_tagger(features, targets, queries(4), SMALL)
    blank = np.full((1, 16, CHANNELS), 0.5, np.float16)
    blank[0, 0, 2] += 8  # label 2 in the upper left cell
    boxes = np.array([[0, 0, 0.25, 0.25], [0.75, 0.75, 1, 1]], np.float32)
    scores = region_scores(tagger, blank, np.zeros(2, np.int64), boxes)
    assert scores.shape == (2, 4)
    assert scores[0].argmax() == 2
    assert scores[0, 2] > scores[1, 2] + 0.3


def test_labels_without_rivals_are_scored_by_the_tagger_itself() -> None:
    features, targets = scenes(96, 3, grid=4)
    tagger = train_tagger(features, targets, queries(3), SMALL, kinds=["a", "b", "c"])
    assert not tagger.second.looked.any()
    blank = np.full((1, 16, CHANNELS), 0.5, np.float16)
    blank[0, 0, 2] += 8
    corner = np.array([[0, 0, 0.25, 0.25]], np.float32)
    image = np.zeros(1, np.int64)
    token = torch.from_numpy(pool_regions(blank, image, corner))[:, None]
    with torch.no_grad():
        alone = torch.sigmoid(tagger(token)).numpy()
    np.testing.assert_allclose(region_scores(tagger, blank, image, corner), alone, atol=1e-6)
    assert alone[0].argmax() == 2


def test_no_regions() -> None:
    features, targets = scenes(8, 3)
    tagger = train_tagger(features, targets, queries(3), SMALL)
    none = np.zeros((0, 4), np.float32)
    assert region_scores(tagger, features, np.zeros(0, np.int64), none).shape == (0, 3)
