"""Pictures as RAM's pixels: one object for training and inference (issue 212 of the original)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from model.encoder import MEAN, STD


@dataclass(frozen=True)
class Pixels:
    """How a picture becomes (3, size, size), normalised by ImageNet's mean and deviation.

    The published training used CLIP's mean and deviation and the published inference ImageNet's,
    at the price of 0.6 AP; here both are this object.
    """

    size: int
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD

    def inference(self, picture: Image.Image) -> Tensor:
        """The whole picture, squeezed into a square."""
        return self._normal(picture.resize((self.size, self.size), Image.Resampling.BILINEAR))

    def augmented(self, picture: Image.Image, seed: int) -> Tensor:
        """A random cut of 20 to 100 %, perhaps mirrored, two random changes (RAM's own code)."""
        # Decided by the seed alone, so that order, workers and interruptions change nothing.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._normal(_changes(self.size)(picture))

    def _normal(self, picture: Image.Image) -> Tensor:
        pixels: Tensor = v2.functional.pil_to_tensor(picture).float() / 255
        mean, std = (torch.tensor(three)[:, None, None] for three in (self.mean, self.std))
        return (pixels - mean) / std


@lru_cache(maxsize=4)
def _changes(size: int) -> v2.Compose:
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, (0.2, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandAugment(num_ops=2, magnitude=5),
        ]
    )
