"""Crops: the pixels in a box, at least one, encoded a few at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from model import crops
from model.crops import crop_features, cut
from model.encoder import make_encoder
from model.last_blocks import LastBlocks


class Means:
    """An encoder whose four positions are a picture's mean colour, and which counts its calls."""

    name, digest = "means", "means"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def encode(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        self.calls.append(len(pictures))
        colours = [np.asarray(picture, float).reshape(-1, 3).mean(axis=0) for picture in pictures]
        return np.repeat(np.array(colours)[:, None], 4, axis=1).astype(np.float16)

    def last_blocks(self) -> LastBlocks:
        return LastBlocks([])


def halves() -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (100, 40), (250, 0, 0))
    picture.paste((0, 0, 250), (50, 0, 100, 40))
    return picture


def test_a_crop_shows_what_is_in_its_box() -> None:
    boxes = np.array([[0, 0, 0.5, 1], [0.5, 0.5, 1, 1], [0.25, 0, 0.75, 1]], np.float32)
    parts = list(cut(halves(), boxes))
    assert [part.size for part in parts] == [(50, 40), (50, 20), (50, 40)]
    features = crop_features(Means(), parts)
    assert features.tolist() == [[250, 0, 0], [0, 0, 250], [125, 0, 125]]


@pytest.mark.parametrize("box", [(0.5, 0.5, 0.5, 0.5), (1, 1, 1, 1), (0, 0, 0, 0), (1.2, 0, 3, 1)])
def test_a_box_of_nothing_has_a_pixel(box: tuple[float, ...]) -> None:
    (part,) = cut(halves(), np.array([box], np.float32))
    assert min(part.size) >= 1
    assert part.size[0] <= 1


def test_few_crops_are_in_memory_and_order_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    shades = [Image.new("RGB", (10, 10), (shade, 0, 0)) for shade in range(70)]
    encoder = Means()
    assert crop_features(encoder, iter(shades))[:, 0].tolist() == list(range(70))
    assert encoder.calls == [32, 32, 6]
    monkeypatch.setattr(crops, "_PIXELS", 250)
    encoder.calls.clear()
    assert crop_features(encoder, shades)[:, 0].tolist() == list(range(70))
    assert max(encoder.calls) == 3
    assert crop_features(encoder, []).shape[0] == 0


def test_a_crop_is_encoded_like_any_picture() -> None:
    encoder = make_encoder("efficientnet-lite0")
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    part = picture.crop((16, 0, 48, 64))
    (feature,) = crop_features(encoder, cut(picture, np.array([[0.25, 0, 0.75, 1]], np.float32)))
    maps = encoder.last_blocks().maps(encoder.encode([part]))
    whole = maps[0].astype(np.float32).mean(axis=0)
    np.testing.assert_allclose(feature, whole, rtol=1e-5, atol=1e-6)
