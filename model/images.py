"""Pictures from bytes: one way for ingest, training, inference and reports."""

from __future__ import annotations

import io
import math
import re
from threading import Lock
from typing import cast

import numpy as np
from PIL import ExifTags, Image

from model.errors import UnreadableImage

MAX_PIXELS = 1 << 29
"""More are refused: 20,000 x 20,000 still fits."""
LARGE = 4096
"""No longer side is left at twice that many pixels: nothing here looks closer."""
STRIP = 64
"""Rows of the result at a time when a large picture is made smaller."""
_BYTES = (0.0, 255.0)
_HIGH_BYTES = (0.0, 255.0 * 256)
"""What is black and what white of 8 and of 16 bits; of the latter the high byte is the picture."""
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow would warn of a sixth of that and refuse a third
_one_large = Lock()
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture is turned upright, by its orientation in EXIF."""
_SIDES_SWAP = tuple(_TURNS[orientation] for orientation in (5, 6, 7, 8))


def load_image(data: bytes, side: int | None = None) -> Image.Image:
    """Decode a picture, turned upright, as RGB; in full but where a side has 8192 pixels or more.

    Such a picture is made smaller by a whole factor; `upright_size` tells its own size. Only one is
    decoded at a time, for whatever is no JPEG needs its full size for a moment.

    With `side`, a JPEG may be shrunk to a half, a quarter or an eighth while it is read, to no less
    than twice that many pixels a side, so that scaling it to `side` still averages.

    Raises:
        UnreadableImage: the bytes are no picture, or are damaged, or it is absurdly large.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise UnreadableImage(f"{picture.width}x{picture.height} pixels are too many")
            asked = 2 * side if side is not None else min(picture.size) // _step(picture)
            if side is not None or _step(picture) > 1:
                picture.draft("RGB", (max(1, asked), max(1, asked)))
            if max(picture.size) < 2 * LARGE:
                return _upright(_rgb(picture, _levels(picture)), picture)
            with _one_large:
                return _upright(_smaller(picture), picture)
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # damage meets Pillow unprepared: a struct.error, a TypeError, ...
        # Pillow names the buffer by its address in memory, which says nothing.
        why = re.sub(r" <_io\.BytesIO object at \w+>", "", str(error))
        raise UnreadableImage(f"not a readable picture: {why}") from error


def _levels(picture: Image.Image) -> tuple[float, float]:
    """The values that are black and white: converting takes them for bytes and clips the others."""
    if picture.mode.startswith("I;16"):
        return _HIGH_BYTES
    if picture.mode not in ("I", "F"):
        return _BYTES
    low, high = cast(tuple[float, float], picture.getextrema())
    if not math.isfinite(low + high):
        raise UnreadableImage("its values are not all finite numbers")
    if picture.mode == "F":  # no range is usual: 0 to 1, 0 to 255, metres, kelvin
        return low, high
    if low >= 0 and high <= 65535:
        return _BYTES if high <= 255 else _HIGH_BYTES
    return low, high


def _rgb(picture: Image.Image, levels: tuple[float, float]) -> Image.Image:
    if levels != _BYTES:
        black, white = levels
        scale = 255 / ((white - black) or 1)
        grey = picture if picture.mode == "F" else picture.convert("I")
        picture = grey.point(lambda value: value * scale - black * scale).convert("L")
    if picture.has_transparency_data:
        # As viewers show it; what lies under a clear place is anything, mostly black.
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture.convert("RGBA"))
    return picture.convert("RGB")


def _step(picture: Image.Image) -> int:
    """Pixels a side that become one."""
    return max(1, max(picture.size) // LARGE)


def _smaller(picture: Image.Image) -> Image.Image:
    """Less than 8192 pixels a side, as RGB, strip by strip."""
    step = _step(picture)
    size = (-(-picture.width // step), -(-picture.height // step))
    levels = _levels(picture)
    result = Image.new("RGB", size)
    for top in range(0, size[1], STRIP):
        bottom = min((top + STRIP) * step, picture.height)
        strip = picture.crop((0, top * step, picture.width, bottom))
        result.paste(_rgb(strip, levels).reduce(step), (0, top))
    return result


def _upright(pixels: Image.Image, picture: Image.Image) -> Image.Image:
    """The pixels of a picture, turned as it says; they say nothing any more."""
    pixels.info.clear()
    turn = _turn(picture)
    return pixels if turn is None else pixels.transpose(turn)


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """What turns a picture upright; none where EXIF does not say, or is damaged.

    Pillow's `exif_transpose` also writes the rest of EXIF anew, and fails of what it cannot write.
    """
    if picture.format == "TIFF":  # Pillow turns it itself, as part of its decoding
        return None
    try:
        return _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # of any kind, for any damage; the picture is as good as without EXIF
        return None


def upright_size(data: bytes) -> tuple[int, int]:
    """Width and height of a readable picture as it is shown, nothing decoded."""
    with Image.open(io.BytesIO(data)) as picture:
        return picture.size[::-1] if _turn(picture) in _SIDES_SWAP else picture.size


def image_format(data: bytes) -> str:
    """The format of a readable picture, such as JPEG."""
    with Image.open(io.BytesIO(data)) as picture:
        return picture.format or "unknown"


def difference_hash(picture: Image.Image) -> str:
    """64 bits that near-duplicates share: is each of 8 x 8 cells brighter than its neighbour?"""
    grey = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BILINEAR), np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()
