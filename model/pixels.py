"""Pictures as RAM's pixels: one object for training and inference (issue 212 of the original)."""

from __future__ import annotations

import io
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2  # type: ignore[import-untyped]

from model.encoder import MEAN, STD
from model.errors import UnreadableImage
from model.images import load_image


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
        """A random cut of 20 to 100 %, perhaps mirrored, two random changes (FACTS 4.5)."""
        # Decided by the seed alone, so that order, workers and interruptions change nothing.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            change = v2.Compose(
                [
                    v2.RandomResizedCrop(self.size, (0.2, 1.0), antialias=True),
                    v2.RandomHorizontalFlip(),
                    v2.RandAugment(num_ops=2, magnitude=5),
                ]
            )
            return self._normal(change(picture))

    def _normal(self, picture: Image.Image) -> Tensor:
        pixels: Tensor = v2.functional.pil_to_tensor(picture).float() / 255
        mean, std = (torch.tensor(three)[:, None, None] for three in (self.mean, self.std))
        return (pixels - mean) / std


def decode(data: bytes, size: int) -> Image.Image:
    """A picture for pixels of `size`; a large JPEG is decoded at half, a quarter or an eighth.

    The JPEG decoder shrinks while it reads, to no less than twice the wanted side, so that what
    follows still averages.

    Raises:
        UnreadableImage: the bytes are no picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.format != "JPEG" or picture.getexif().get(0x0112, 1) != 1:
                return load_image(data)
            picture.draft("RGB", (2 * size, 2 * size))
            return picture.convert("RGB")
    except UnreadableImage:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UnreadableImage(f"not a readable picture: {error}") from error
