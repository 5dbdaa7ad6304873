"""Regions cut from their pictures and encoded anew: finer than a part of the picture's map, and
dearer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from model.encoder import Encoder
from model.tagger import Floats

_CROPS, _PIXELS = 32, 1 << 26
"""Crops that are encoded at once, and pixels of all but one of them."""


def cut(picture: Image.Image, boxes: Floats) -> Iterator[Image.Image]:
    """The parts of a picture in boxes (R, 4), xyxy relative to it; of at least one pixel."""
    width, height = picture.size
    for x1, y1, x2, y2 in np.clip(boxes, 0, 1).tolist():
        left, top = min(int(x1 * width), width - 1), min(int(y1 * height), height - 1)
        right, bottom = math.ceil(x2 * width), math.ceil(y2 * height)
        yield picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def crop_features(encoder: Encoder, crops: Iterable[Image.Image]) -> Floats:
    """Mean features (R, C) of crops, a few of which are in memory at a time."""
    found: list[Floats] = []
    waiting: list[Image.Image] = []
    blocks = encoder.last_blocks()

    def encode() -> None:
        maps = blocks.maps(encoder.encode(waiting))
        found.append(maps.astype(np.float32).mean(axis=1))
        waiting.clear()

    for crop in crops:
        waiting.append(crop)
        if len(waiting) == _CROPS or sum(c.width * c.height for c in waiting) >= _PIXELS:
            encode()
    if waiting:
        encode()
    return np.concatenate(found) if found else np.zeros((0, 0), np.float32)
