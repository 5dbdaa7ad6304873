"""Decoding of pictures: damaged ones are refused with a reason, the others come upright in RGB."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from model import images
from model.errors import ModelError, UnreadableImage
from model.images import difference_hash, image_format, load_image


def picture(size: tuple[int, int] = (64, 48)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_common_formats(kind: str) -> None:
    data = saved(picture(), kind)
    loaded = load_image(data)
    assert (loaded.mode, loaded.size) == ("RGB", (64, 48))
    assert image_format(data) == kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_pictures_are_refused(kind: str, share: float) -> None:
    data = saved(picture(), kind)
    with pytest.raises(UnreadableImage, match="not a readable picture"):
        load_image(data[: int(len(data) * share)])


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        load_image(data)


def test_absurd_size_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    with pytest.raises(UnreadableImage, match="64x48"):
        load_image(saved(picture(), "PNG"))


def test_camera_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to show
    assert load_image(saved(picture(), "JPEG", exif=exif)).size == (48, 64)


def test_hash_of_near_duplicates() -> None:
    ramp = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1)))
    small, turned = ramp.resize((32, 24)), ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert difference_hash(ramp) == difference_hash(small)
    assert difference_hash(ramp) != difference_hash(turned)


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    ramp = Image.fromarray(np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1)))
    middle = np.asarray(load_image(saved(ramp, "PNG")))[0, 32, 0]
    assert 100 < middle < 156
