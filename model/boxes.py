"""Where an image shows a label: the read-out's evidence over positions, and boxes around it.

The read-out is linear, so the evidence of a window is the mean of its positions' evidence, and what
was learned from windows can be asked position by position.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from model.tagger import Floats, Tagger

SMOOTHING = 1 / 14
"""Of the evidence, in sides of the map: a position alone is noisy."""
FINE = 4
"""Fine cells per position, along each side."""
LEVEL = 0.3
"""A part belongs to a label where its evidence is above this share of the way to the peak."""
SECOND = 0.8
"""A further box needs a peak of this share of the way from the floor to the first one."""


def evidence(tagger: Tagger, positions: Floats, labels: npt.NDArray[np.int64]) -> Floats:
    """The labels' own weights on each position (P, C) of one image: (|labels|, grid, grid)."""
    grid = round(len(positions) ** 0.5)
    states = (positions - tagger.mean.numpy()) / tagger.std.numpy()
    maps: Floats = tagger.readout.weight.detach().numpy()[labels] @ states.T
    return maps.reshape(len(labels), grid, grid)


@lru_cache(maxsize=16)
def _fine_cells(grid: int) -> npt.NDArray[np.float64]:
    """What each fine cell (FINE * grid, grid) takes of each position along a side.

    Smoothing and interpolation are linear, and the same along both sides.
    """
    own = ndimage.gaussian_filter1d(np.eye(grid), SMOOTHING * grid, axis=0, mode="nearest")
    cells: npt.NDArray[np.float64] = ndimage.zoom(
        own, (FINE, 1), order=1, mode="nearest", grid_mode=True
    )
    return cells


def boxes_of(heat: Floats, most: int) -> list[npt.NDArray[np.float64]]:
    """Up to `most` boxes (xyxy relative to the image) of one map (grid, grid), the surest first."""
    across = _fine_cells(len(heat))
    # Single precision forgets how sums were rounded: an even map is one part.
    fine = (across @ heat.astype(np.float64) @ across.T).astype(np.float32)
    floor, peak = float(np.median(fine)), float(fine.max())
    parts, _ = ndimage.label(fine >= floor + LEVEL * (peak - floor))
    found = ndimage.find_objects(parts)
    boxes = []
    for part in np.unique(parts[fine >= floor + SECOND * (peak - floor)]).tolist():
        rows, columns = found[part - 1]
        top = fine[rows, columns][parts[rows, columns] == part].max()
        box = np.array([columns.start, rows.start, columns.stop, rows.stop]) / len(fine)
        boxes.append((float(top), box))
    boxes.sort(key=lambda found: (-found[0], found[1].tolist()))
    return [box for _, box in boxes[:most]]
