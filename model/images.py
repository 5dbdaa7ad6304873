"""Pictures from bytes: one way for ingest, training, inference and reports."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from model.errors import UnreadableImage

MAX_PIXELS = 178_956_970  # Pillow's own bound against decompression bombs


def load_image(data: bytes, side: int | None = None) -> Image.Image:
    """Decode a picture whole, turned upright, as RGB.

    With `side`, a JPEG may be shrunk to a half, a quarter or an eighth while it is read, to no less
    than twice that many pixels a side, so that scaling it to `side` still averages.

    Raises:
        UnreadableImage: the bytes are no picture, or are damaged, or it is absurdly large.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise UnreadableImage(f"{picture.width}x{picture.height} pixels are too many")
            if side is not None:
                picture.draft("RGB", (2 * side, 2 * side))
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                # Converting clips 16 bits to white; their high byte is the picture.
                upright = upright.convert("I").point(lambda value: value / 256).convert("L")
            return upright.convert("RGB")
    except UnreadableImage:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UnreadableImage(f"not a readable picture: {error}") from error


def image_format(data: bytes) -> str:
    """The format of a readable picture, such as JPEG."""
    with Image.open(io.BytesIO(data)) as picture:
        return picture.format or "unknown"


def difference_hash(picture: Image.Image) -> str:
    """64 bits that near-duplicates share: is each of 8 x 8 cells brighter than its neighbour?"""
    grey = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BILINEAR), np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()
