"""Finding room for things so that none is covered more than allowed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Box = tuple[int, int, int, int]
TRIES = 12
SHRINK = 0.95
SIZES = 60


class Canvas:
    """A picture that remembers which thing every pixel shows."""

    def __init__(self, image: Image.Image, max_occlusion: float) -> None:
        self._image = image
        self._max_occlusion = max_occlusion
        self._owners = np.full((image.height, image.width), -1, np.int16)
        self._own: list[int] = []
        self._covered: list[int] = []

    def place(self, picture: Image.Image, share: float, rng: np.random.Generator) -> Box:
        """Lay `picture`, `share` of the side long, over what is there; shrink it until it fits.

        Returns:
            Its box: x1, y1, x2, y2 in pixels.
        """
        for step in range(SIZES):
            side = max(round(share * SHRINK**step * self._image.width), 4)
            fitted = fit(picture, side)
            mask = np.asarray(fitted.getchannel("A")) > 127
            for _ in range(TRIES):
                x = int(rng.integers(0, self._image.width - fitted.width + 1))
                y = int(rng.integers(0, self._image.height - fitted.height + 1))
                if self._claim(mask, x, y):
                    self._image.paste(fitted, (x, y), fitted)
                    return box_of(mask, x, y)
        raise RuntimeError(f"no room for another thing beside {len(self._own)}")

    def visible(self) -> list[float]:
        """Return the share of its own pixels that each thing still shows."""
        return [1 - c / o for c, o in zip(self._covered, self._own, strict=True)]

    def _claim(self, mask: npt.NDArray[np.bool_], x: int, y: int) -> bool:
        patch = self._owners[y : y + mask.shape[0], x : x + mask.shape[1]]
        extra = np.bincount(patch[mask] + 1, minlength=len(self._own) + 1)[1:].tolist()
        covered = [c + e for c, e in zip(self._covered, extra, strict=True)]
        limits = [self._max_occlusion * own for own in self._own]
        if any(c > limit for c, limit in zip(covered, limits, strict=True)):
            return False
        patch[mask] = len(self._own)
        self._covered = [*covered, 0]
        self._own.append(int(mask.sum()))
        return True


def fit(picture: Image.Image, side: int) -> Image.Image:
    """Scale a picture so that its longer side is `side`."""
    scale = side / max(picture.size)
    width, height = (max(round(s * scale), 4) for s in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def box_of(mask: npt.NDArray[np.bool_], x: int, y: int) -> Box:
    """Return the tight box around a mask that lies at (x, y)."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    left, right = x + int(columns[0]), x + int(columns[-1]) + 1
    return left, y + int(rows[0]), right, y + int(rows[-1]) + 1
