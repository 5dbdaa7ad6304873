"""Windows: means over square parts of a feature map, in three sizes.

What the taggers and captioners look at. A window holds a whole thing where a position holds a part
of one, and 77 windows train three times as fast as 14 x 14 positions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Halves = npt.NDArray[np.float16]
SIDES = (2, 3, 4)
"""Of windows, in sevenths of the map's side; neighbours are a seventh apart."""
_BATCH = 16
"""Maps at once; fixed, so that windows do not depend on shard cuts."""


def floats(features: Halves) -> Tensor:
    """As float32; torch converts them eight times as fast as NumPy."""
    return torch.from_numpy(np.ascontiguousarray(features)).float()


def windows_of(maps: Tensor) -> Tensor:
    """Windows (B, W, C) of maps (B, P, C), whose P positions are a square, row by row.

    A map of fewer than 4 x 4 positions has its positions as windows.
    """
    grid = round(maps.shape[1] ** 0.5)
    if grid < max(SIDES):
        return maps
    square = maps.transpose(1, 2).reshape(len(maps), maps.shape[2], grid, grid)
    step = max(1, round(grid / 7))
    sizes = [max(1, round(grid * side / 7)) for side in SIDES]
    # So much larger that the last one ends where the map does.
    sizes = [size + (grid - size) % step for size in sizes]
    parts = [torch.nn.functional.avg_pool2d(square, size, step).flatten(2) for size in sizes]
    return torch.cat(parts, dim=2).transpose(1, 2)


def split(features: Halves, size: int = _BATCH) -> Iterator[Halves]:
    """Parts of features (N, P, C) in fixed cuts."""
    return (features[start : start + size] for start in range(0, len(features), size))


def batches(maps: Halves, size: int = _BATCH) -> Iterator[Tensor]:
    """Windows (B, W, C) of maps (N, P, C) as float32, in fixed cuts."""
    return (windows_of(floats(part)) for part in split(maps, size))


def all_windows(maps: Halves) -> Halves:
    """Windows (N, W, C) of maps (N, P, C), float16: what training goes over many times."""
    if not len(maps):
        return maps
    return np.concatenate([part.half().numpy() for part in batches(maps)])
