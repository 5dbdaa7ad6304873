"""Decoding of pictures: damaged ones are refused with a reason, the others come upright in RGB."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from model import images
from model.errors import ModelError, UnreadableImage
from model.images import difference_hash, image_format, load_image, upright_size
from tests.model.helpers import peak_megabytes

ORIENTATION = ExifTags.Base.Orientation


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


def test_a_reason_is_the_same_in_every_process() -> None:
    with pytest.raises(UnreadableImage) as refused:
        load_image(b"hello")
    assert "identify image file" in str(refused.value)
    assert "0x" not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        load_image(data)


def test_absurd_size_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    with pytest.raises(UnreadableImage, match="64x48"):
        load_image(saved(picture(), "PNG"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("large", [4096, 16])
def test_a_picture_is_turned_as_it_says(
    kind: str, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LARGE", large)
    across, down = np.meshgrid(np.arange(64) * 4, np.arange(48) * 5)
    ramps = Image.fromarray(np.dstack([across, down, across]).astype(np.uint8))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        data = saved(ramps, kind, exif=exif)
        with Image.open(io.BytesIO(data)) as stored:
            shown = ImageOps.exif_transpose(stored)
        assert upright_size(data) == shown.size
        loaded = load_image(data)
        step = shown.width // loaded.width
        apart = np.asarray(loaded, float) - np.asarray(shown.convert("RGB").reduce(step), float)
        assert np.abs(apart).mean() < 3


SMALL = picture((12, 8))


def camera_exif() -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010F], exif[0x011A], exif[0x0131] = "maker", 72.0, "software"
    exif[0x8769] = {36867: "2020", 33434: 0.01}
    exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    return exif.tobytes()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of EXIF that it cannot read
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP"]),
    st.lists(st.tuples(st.integers(6, len(camera_exif()) - 1), st.integers(0, 255)), max_size=3),
    st.integers(6, len(camera_exif())),
)
@example("JPEG", [(55, 3)], len(camera_exif()))
@example("WEBP", [], 10)
@settings(deadline=None, max_examples=300)
def test_a_picture_with_damaged_exif_is_read(
    kind: str, changes: list[tuple[int, int]], length: int
) -> None:
    block = bytearray(camera_exif())
    for place, value in changes:
        block[place] = value
    data = saved(SMALL, kind, exif=bytes(block[:length]))
    assert load_image(data).size == upright_size(data)


def test_other_damage_in_exif_leaves_the_orientation() -> None:
    """The software as a number: Pillow reads that, and fails to write it."""
    entries = [(0x0112, 3, 1, 6), (0x0131, 11, 1, 0x3F800000)]
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    block += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    data = saved(picture(), "JPEG", exif=block)
    assert load_image(data).size == upright_size(data) == (48, 64)


def test_hash_of_near_duplicates() -> None:
    ramp = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1)))
    small, turned = ramp.resize((32, 24)), ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert difference_hash(ramp) == difference_hash(small)
    assert difference_hash(ramp) != difference_hash(turned)


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    ramp = Image.fromarray(np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1)))
    middle = np.asarray(load_image(saved(ramp, "PNG")))[0, 32, 0]
    assert 100 < middle < 156


RAMP = np.tile(np.linspace(0, 1, 64), (8, 1))


@pytest.mark.parametrize("large", [4096, 16])
@pytest.mark.parametrize(
    ("kind", "pixels"),
    [
        ("PPM", RAMP * 65535), ("TIFF", RAMP * (2**31 - 1)), ("TIFF", RAMP * 255),
        ("TIFF", RAMP * 90000 - 40000), ("float", RAMP), ("float", RAMP * 40 + 270),
    ],
)  # fmt: skip
def test_wide_values_keep_their_shades(
    kind: str, pixels: np.ndarray, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LARGE", large)
    if kind == "float":
        data = saved(Image.fromarray(pixels.astype(np.float32)), "TIFF")
    elif kind == "PPM":
        data = b"P5 64 8 65535\n" + pixels.astype(">u2").tobytes()
    else:
        data = saved(Image.fromarray(pixels.astype(np.int32)), kind)
    row = np.asarray(load_image(data), float)[0, :, 0]
    wanted = np.linspace(0, 255, 64).reshape(len(row), -1).mean(axis=1)
    assert np.abs(row - wanted).max() < 3


def test_values_that_are_no_numbers_are_refused_and_one_shade_is_a_picture() -> None:
    for value in (0, 7.5, -1e30):
        flat = np.full((8, 8), value, np.float32)
        assert not np.asarray(load_image(saved(Image.fromarray(flat), "TIFF"))).any()
    flat[3, 3] = np.inf
    with pytest.raises(UnreadableImage, match="finite"):
        load_image(saved(Image.fromarray(flat), "TIFF"))


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("size", [(100, 80), (101, 3), (1, 77), (23, 201)])
def test_a_large_picture_is_made_smaller_strip_by_strip(
    mode: str, kind: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if (mode, kind) in {("CMYK", "PNG")} or (kind == "JPEG" and mode not in {"RGB", "L", "CMYK"}):
        pytest.skip(f"no {mode} in {kind}")
    monkeypatch.setattr(images, "LARGE", 20)
    monkeypatch.setattr(images, "STRIP", 3)
    ramp = np.linspace(0, 255, size[0] * size[1]).reshape(size[::-1])
    grey = Image.fromarray(ramp.astype(np.uint16) * 257 if mode == "I;16" else ramp.astype("u1"))
    whole = grey if mode in {"I;16", "L"} else grey.convert("RGB").convert(mode)
    options = {"quality": 95} if kind == "JPEG" else {}
    data = saved(whole, kind, **options)
    small = load_image(data)
    assert small.mode == "RGB"
    assert 20 <= max(small.size) <= 40
    assert upright_size(data) == size
    if mode not in {"1", "P"} and min(size) > 3:  # dithered; too thin to compare
        wanted = Image.fromarray(ramp.astype("u1")).resize(small.size, Image.Resampling.BOX)
        apart = np.abs(np.asarray(small, float)[..., 0] - np.asarray(wanted, float))
        assert apart.mean() < 6


def test_pictures_below_the_bound_are_not_touched() -> None:
    assert load_image(saved(picture((8191, 2)), "PNG")).size == (8191, 2)
    assert load_image(saved(picture((8192, 2)), "PNG")).size == (4096, 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_twenty_thousand_pixels_a_side_in_bounded_memory(kind: str, tmp_path: Path) -> None:
    """A JPEG needs a sixteenth of its pixels, whatever else one byte a pixel, and little more."""
    path = tmp_path / "large"
    Image.new("L", (20_000, 20_000), 77).save(path, kind)
    data = path.read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = peak_megabytes()
    loaded = load_image(data)
    assert loaded.size == (5000, 5000)
    assert loaded.getpixel((4999, 4999)) == (77, 77, 77)
    assert peak_megabytes() - before < {"JPEG": 250, "PNG": 600}[kind]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_clear_is_white(mode: str, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if large:
        monkeypatch.setattr(images, "LARGE", 8)
    picture = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    picture.paste((40, 40, 40, 255), (0, 0, 8, 16))
    if mode == "P":
        picture = picture.quantize(4)
    data = saved(picture if mode == "P" else picture.convert(mode), "PNG")
    row = np.asarray(load_image(data))[0, :, 0]
    assert np.abs(row[: len(row) // 2].astype(int) - 40).max() <= 3
    assert (row[len(row) // 2 :] == 255).all()
