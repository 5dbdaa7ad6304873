"""Looking at parts of an image: pooling its feature map over boxes, scoring labels there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from model.boxes import boxes_of, evidence
from model.tagger import Floats, Halves, Tagger
from model.windows import floats

Ints = npt.NDArray[np.int64]
_BATCH = 64


def cell_weights(boxes: Floats, grid: int) -> Floats:
    """How much of each cell a box covers, (R, grid * grid), rows summing to 1.

    `boxes` (R, 4) are xyxy relative to the image, 0 to 1. A box thinner than a cell still weighs
    the cells that it touches.
    """
    edges = np.arange(grid, dtype=np.float32)
    scaled = np.clip(boxes, 0, 1) * grid

    def cover(low: Floats, high: Floats) -> Floats:
        overlap = np.minimum(high[:, None], edges + 1) - np.maximum(low[:, None], edges)
        covered: Floats = np.maximum(overlap, 0)
        return covered

    thin = 1e-3
    across = cover(scaled[:, 0] - thin, scaled[:, 2] + thin)
    down = cover(scaled[:, 1] - thin, scaled[:, 3] + thin)
    weights = (down[:, :, None] * across[:, None, :]).reshape(len(boxes), grid * grid)
    result: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


def pool_regions(features: Halves, image: Ints, boxes: Floats) -> Floats:
    """Mean features (R, C) of boxes (R, 4, relative xyxy) on the maps `features` (N, P, C).

    `image` (R,) says which map a box lies on.
    """
    pooled = np.empty((len(boxes), features.shape[2]), np.float32)
    for places, positions in _by_image(features, image):
        pooled[places] = _pool(positions, boxes[places])
    return pooled


def seen_regions(tagger: Tagger, features: Halves, image: Ints, label: Ints) -> Floats:
    """Features (R, C) of the box where a tagger sees `label` (R,) best on the maps `image` (R,)."""
    pooled = np.empty((len(image), features.shape[2]), np.float32)
    for places, positions in _by_image(features, image):
        heats = evidence(tagger, positions, label[places])
        boxes = np.array([boxes_of(heat, 1)[0] for heat in heats], np.float32)
        pooled[places] = _pool(positions, boxes)
    return pooled


def _by_image(features: Halves, image: Ints) -> Iterator[tuple[Ints, Floats]]:
    """The places in `image` of each image that it names, and the image's map (P, C)."""
    order = np.argsort(image, kind="stable")
    rows, starts = np.unique(image[order], return_index=True)
    for row, places in zip(rows, np.split(order, starts[1:]), strict=False):
        yield places, floats(features[row]).numpy()


def _pool(positions: Floats, boxes: Floats) -> Floats:
    pooled: Floats = cell_weights(boxes, round(len(positions) ** 0.5)) @ positions
    return pooled


@torch.inference_mode()
def region_scores(tagger: Tagger, features: Halves, image: Ints, boxes: Floats) -> Floats:
    """Probabilities (R, L) that a region shows a label.

    By the second look among the labels of a kind; where it has not learned a label from regions, by
    the tagger that sees the pooled region as its one token.
    """
    tagger.eval()
    pooled = torch.from_numpy(pool_regions(features, image, boxes))
    looked = tagger.second.looked
    scores = []
    for part in torch.split(pooled, _BATCH):
        odds = tagger.look(part)
        if not looked.all():
            odds = torch.where(looked, odds, tagger(part[:, None]))
        scores.append(torch.sigmoid(odds))
    return torch.cat(scores).numpy() if scores else np.zeros((0, tagger.labels), np.float32)
