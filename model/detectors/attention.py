"""The embedded detector: the tagger's own evidence for a tag over image positions, as boxes.

Each position is shown to the tagger alone; the logits of a tag over the grid are its map. The map
is refined to a finer grid; the connected parts above a level between its floor and its peak give
the boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from model.detectors.base import Detection
from model.tagger import Floats, Halves, Tagger

FINE = 4
"""Fine cells per position, along each side."""
LEVEL = 0.5
"""A part belongs to a tag where its evidence is above this share of the way to the peak."""
MAX_BOXES = 2
SECOND = 0.8
"""A further box needs a peak of this share of the way from the floor to the first one."""
FLOOR = 1e-3
"""A tag whose best position scores less has no region."""


class AttentionDetector:
    """Boxes from a tagger that has not seen the images."""

    def __init__(self, tagger: Tagger) -> None:
        self.tagger = tagger.eval()

    def detect(
        self,
        features: Halves,
        candidates: Sequence[Sequence[int]],
        sizes: Sequence[tuple[int, int]],
    ) -> list[list[Detection]]:
        """At most two boxes per candidate; see `Detector.detect`."""
        found = []
        for positions, labels, (width, height) in zip(features, candidates, sizes, strict=True):
            maps = self.evidence(positions, labels)
            scale = np.array([width, height, width, height], np.float64)
            of_image = []
            for label, logits in zip(labels, maps, strict=True):
                for box, peak in _boxes(logits):
                    score = float(1 / (1 + np.exp(-peak)))
                    if score >= FLOOR:
                        x1, y1, x2, y2 = (box * scale).tolist()
                        of_image.append(Detection(label, (x1, y1, x2, y2), score))
            found.append(of_image)
        return found

    @torch.inference_mode()
    def evidence(self, positions: Halves, labels: Sequence[int]) -> Floats:
        """Logits (|labels|, grid, grid) of each position of one image (P, C) seen alone."""
        grid = round(len(positions) ** 0.5)
        if not labels:
            return np.zeros((0, grid, grid), np.float32)
        alone = torch.from_numpy(positions.astype(np.float32))[:, None]
        logits = self.tagger(alone, torch.tensor(list(labels)))
        result: Floats = logits.T.reshape(len(labels), grid, grid).numpy()
        return result


def _boxes(logits: Floats) -> list[tuple[npt.NDArray[np.float64], float]]:
    """Boxes (relative xyxy) of one map (grid, grid) with the peak of each, the highest first."""
    smooth = ndimage.gaussian_filter(logits.astype(np.float64), 0.5, mode="nearest")
    fine = ndimage.zoom(smooth, FINE, order=1, mode="nearest", grid_mode=True)
    floor, peak = float(np.median(fine)), float(fine.max())
    level = floor + LEVEL * (peak - floor)
    parts, _ = ndimage.label(fine >= level)
    side = len(fine)
    boxes = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
        top = float(fine[rows, columns][parts[rows, columns] == number].max())
        if top >= floor + SECOND * (peak - floor):
            box = np.array([columns.start, rows.start, columns.stop, rows.stop]) / side
            boxes.append((box, top))
    boxes.sort(key=lambda found: (-found[1], found[0].tolist()))
    return boxes[:MAX_BOXES]
