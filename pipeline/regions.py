"""Features of a tag's regions, held in memory or streamed from the lake, as unit vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from pipeline.clustering import evenly, projected
from pipeline.columns import Floats
from pipeline.dataset import Ints

BLOCK = 2048
"""Rows that are made unit vectors at once: they stay in the cache."""


class Regions(Protocol):
    """Unit features (R, D) that need not fit into memory."""

    def __len__(self) -> int:
        """How many regions there are."""

    def sample(self, most: int) -> Floats:
        """Up to `most` of them (S, D), the same ones in whatever order the regions come."""

    def blocks(self) -> Iterator[tuple[Ints, Floats]]:
        """All of them, each once: places (B,) and features (B, D)."""


class Held:
    """Features (R, D) in memory."""

    def __init__(self, features: Floats) -> None:
        self._features = features
        self._units = unit(features) if len(features) <= BLOCK else None

    def __len__(self) -> int:
        return len(self._features)

    def sample(self, most: int) -> Floats:
        """See `Regions`; evenly along a projection."""
        if self._units is not None and len(self) <= most:
            return self._units
        return unit(self._features[evenly(projected(self._features), most)])

    def blocks(self) -> Iterator[tuple[Ints, Floats]]:
        """See `Regions`."""
        places = np.arange(len(self))
        if self._units is not None:
            yield places, self._units
            return
        for start in range(0, len(self), BLOCK):
            part = slice(start, start + BLOCK)
            yield places[part], unit(self._features[part])


def unit(features: Floats) -> Floats:
    """Features (R, D) at length 1; a zero stays zero."""
    lengths = np.sqrt(np.einsum("rd,rd->r", features, features))
    units: Floats = features / np.maximum(lengths, 1e-9)[:, None]
    return units
