"""The places of the planted scenes, drawn anew each time with other colours and shapes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

PALE = 0.1

Rgb = tuple[int, int, int]
Draw = Callable[[Image.Image, np.random.Generator], None]


def background(name: str, size: int, rng: np.random.Generator) -> Image.Image:
    """Draw the place `name`, `size` pixels square."""
    # Drawn at one size so that the same seed shows the same place at any size.
    image = Image.new("RGB", (256, 256))
    PLACES[name](image, rng)
    grain = rng.normal(0, 4, (128, 128, 1)).repeat(2, 0).repeat(2, 1)
    light = rng.uniform(0.88, 1.08)
    values = np.asarray(image, np.float32)
    # Out of focus and a little pale, as what stands behind things is.
    values = values.mean((0, 1)) * PALE + values * (1 - PALE)
    values = np.clip(values * light + grain, 0, 255)
    return Image.fromarray(values.astype(np.uint8)).resize((size, size), Image.Resampling.BILINEAR)


def _near(colour: Rgb, rng: np.random.Generator, spread: int = 14) -> Rgb:
    # Plain numbers: this is called a thousand times a picture, and arrays of three are slow.
    shifts = rng.integers(-spread, spread + 1, 3).tolist()
    red, green, blue = (
        min(max(c + shift, 0), 255) for c, shift in zip(colour, shifts, strict=True)
    )
    return red, green, blue


def _fade(image: Image.Image, top: Rgb, bottom: Rgb, start: int = 0, end: int = 256) -> None:
    ramp = np.linspace(0, 1, max(end - start, 1))[:, None, None]
    rows = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
    strip = np.broadcast_to(rows, (len(rows), 256, 3)).astype(np.uint8)
    image.paste(Image.fromarray(np.ascontiguousarray(strip)), (0, start))


def _ridge(
    image: Image.Image, rng: np.random.Generator, level: int, height: int, colour: Rgb
) -> None:
    """Draw a soft range of hills along `level`."""
    x = np.arange(0, 257, 4)
    y = level + sum(
        height / k * np.sin(x / 256 * 2 * np.pi * k * rng.uniform(0.5, 1.2) + rng.uniform(0, 6))
        for k in (1, 2, 3)
    )
    points = [(float(a), float(b)) for a, b in zip(x, np.asarray(y), strict=True)]
    ImageDraw.Draw(image).polygon([*points, (256, 256), (0, 256)], fill=colour)


def _specks(
    image: Image.Image, rng: np.random.Generator, colour: Rgb, count: int, top: int, stretch: int
) -> None:
    draw = ImageDraw.Draw(image)
    for x, y in rng.integers((0, top), (256, 256), (count, 2)).tolist():
        length = stretch * (y - top + 20) // 120 + 1
        draw.line((x, y, x + length, y), fill=_near(colour, rng))


def _beach(image: Image.Image, rng: np.random.Generator) -> None:
    sea, sand = int(rng.integers(70, 105)), int(rng.integers(125, 160))
    _fade(image, _near((120, 190, 240), rng), _near((205, 232, 248), rng), 0, sea)
    _fade(image, _near((20, 110, 170), rng), _near((80, 195, 205), rng), sea, sand + 20)
    _specks(image, rng, (190, 225, 235), 40, sea, 14)
    _ridge(image, rng, sand + 3, 5, (240, 248, 248))
    _ridge(image, rng, sand + 9, 5, _near((235, 212, 160), rng))
    _specks(image, rng, (214, 188, 132), 220, sand + 20, 3)


def _forest(image: Image.Image, rng: np.random.Generator) -> None:
    _fade(image, _near((90, 130, 80), rng), _near((40, 75, 40), rng))
    draw = ImageDraw.Draw(image)
    for depth in range(3):
        for x in rng.integers(-10, 260, 7).tolist():
            width = int(rng.integers(5, 9)) + 5 * depth
            shade = _near((70 - 12 * depth, 52 - 9 * depth, 36 - 6 * depth), rng, 8)
            draw.rectangle((x, 0, x + width, 150 + 25 * depth), fill=shade)
        for x, y in rng.integers((-20, -20), (276, 70), (14, 2)).tolist():
            leaf = _near((45 + 12 * depth, 100 + 14 * depth, 48), rng, 18)
            draw.ellipse((x - 26, y - 18, x + 26, y + 18), fill=leaf)
    _ridge(image, rng, 190, 8, _near((62, 84, 40), rng))
    _specks(image, rng, (92, 104, 50), 240, 195, 5)


def _desert(image: Image.Image, rng: np.random.Generator) -> None:
    _fade(image, _near((248, 190, 120), rng), _near((255, 232, 190), rng), 0, 130)
    x, y = rng.integers((20, 15), (220, 70)).tolist()
    ImageDraw.Draw(image).ellipse((x, y, x + 34, y + 34), fill=(255, 248, 215))
    for level, colour in ((105, (224, 160, 96)), (145, (208, 138, 74)), (195, (190, 118, 60))):
        _ridge(image, rng, level, 16, _near(colour, rng))


def _street(image: Image.Image, rng: np.random.Generator) -> None:
    _fade(image, _near((165, 200, 230), rng), _near((220, 232, 240), rng), 0, 120)
    draw = ImageDraw.Draw(image)
    x = -int(rng.integers(0, 30))
    while x < 256:
        width, top = rng.integers((38, 5), (70, 60)).tolist()
        wall = _near((185, 145, 120), rng, 40)
        draw.rectangle((x, top, x + width - 2, 150), fill=wall)
        for wx in range(x + 6, x + width - 10, 14):
            for wy in range(top + 8, 130, 20):
                draw.rectangle((wx, wy, wx + 7, wy + 11), fill=_near((90, 110, 130), rng, 20))
        x += width
    draw.rectangle((0, 148, 256, 172), fill=_near((186, 182, 176), rng))
    draw.rectangle((0, 172, 256, 256), fill=_near((88, 88, 94), rng))
    for x in range(-int(rng.integers(0, 40)), 256, 52):
        draw.polygon([(x, 216), (x + 28, 216), (x + 24, 223), (x - 5, 223)], fill=(228, 226, 214))


def _field(image: Image.Image, rng: np.random.Generator) -> None:
    _fade(image, _near((105, 175, 235), rng), _near((215, 236, 250), rng), 0, 130)
    draw = ImageDraw.Draw(image)
    for x, y in rng.integers((0, 10), (256, 70), (int(rng.integers(2, 6)), 2)).tolist():
        for shift in (-16, 0, 15):
            draw.ellipse((x + shift - 15, y - 8, x + shift + 15, y + 8), fill=(248, 250, 252))
    for level, colour in ((110, (140, 190, 90)), (140, (112, 176, 70)), (190, (96, 158, 58))):
        _ridge(image, rng, level, 9, _near(colour, rng))
    _specks(image, rng, (70, 130, 44), 260, 150, 2)


def _mountain(image: Image.Image, rng: np.random.Generator) -> None:
    _fade(image, _near((95, 140, 200), rng), _near((205, 222, 240), rng))
    draw = ImageDraw.Draw(image)
    for depth in range(4):
        x, half = int(rng.integers(0, 256)), int(rng.integers(70, 120))
        top = int(rng.integers(15, 60)) + 16 * depth
        rock = _near((130 - 14 * depth, 132 - 14 * depth, 145 - 14 * depth), rng, 8)
        draw.polygon([(x - half, 230), (x, top), (x + half, 230)], fill=rock)
        draw.polygon([(x, top), (x + half, 230), (x + half // 4, 230)], fill=_near(rock, rng, 16))
        cap = half * 34 // (230 - top)
        draw.polygon(
            [(x - cap, top + 34), (x, top), (x + cap, top + 34), (x, top + 25)], fill="white"
        )
    _ridge(image, rng, 205, 7, _near((112, 108, 98), rng))
    _specks(image, rng, (90, 86, 80), 120, 210, 8)


def _city(image: Image.Image, rng: np.random.Generator) -> None:
    _fade(image, _near((12, 14, 40), rng, 8), _near((70, 55, 105), rng))
    draw = ImageDraw.Draw(image)
    for x, y in rng.integers((0, 0), (256, 90), (40, 2)).tolist():
        draw.point((x, y), fill=(250, 250, 235))
    for depth in range(2):
        x = -int(rng.integers(0, 20))
        while x < 256:
            width, top = rng.integers((18, 50 + 45 * depth), (40, 130 + 45 * depth)).tolist()
            draw.rectangle(
                (x, top, x + width, 256),
                fill=_near((52 - 20 * depth, 52 - 20 * depth, 92 - 30 * depth), rng, 10),
            )
            for wx, wy in rng.integers((x + 2, top + 4), (x + width - 2, 250), (22, 2)).tolist():
                draw.rectangle((wx, wy, wx + 2, wy + 3), fill=_near((250, 215, 120), rng))
            x += width + int(rng.integers(0, 6))


def _snow(image: Image.Image, rng: np.random.Generator) -> None:
    _fade(image, _near((165, 185, 210), rng), _near((225, 232, 240), rng), 0, 140)
    for level, colour in ((110, (208, 220, 234)), (150, (226, 234, 243)), (200, (240, 245, 250))):
        _ridge(image, rng, level, 12, _near(colour, rng, 6))
    draw = ImageDraw.Draw(image)
    for x, y, radius in rng.integers((0, 0, 1), (256, 256, 4), (120, 3)).tolist():
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(252, 253, 255))


def _kitchen(image: Image.Image, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(image)
    wall, wood = _near((222, 228, 220), rng), _near((176, 128, 84), rng, 30)
    image.paste(wall, (0, 0, 256, 256))
    step = int(rng.integers(17, 24))
    for at in range(0, 256, step):
        draw.line((at, 60, at, 140), fill=(190, 196, 190))
        draw.line((0, 60 + at, 256, 60 + at), fill=(190, 196, 190))
    for top, bottom in ((0, 56), (150, 236)):
        for x in range(-int(rng.integers(0, 40)), 256, 56):
            draw.rectangle((x, top, x + 53, bottom), fill=wood, outline=(110, 80, 54))
            draw.rectangle(
                (x + 24, (top + bottom) // 2, x + 30, (top + bottom) // 2 + 3), fill="silver"
            )
    draw.rectangle((0, 140, 256, 152), fill=_near((96, 92, 90), rng, 24))
    draw.rectangle((0, 236, 256, 256), fill=_near((150, 138, 124), rng))


def _pool(image: Image.Image, rng: np.random.Generator) -> None:
    deck = int(rng.integers(30, 60))
    _fade(image, _near((232, 222, 205), rng), _near((214, 202, 182), rng), 0, deck)
    _fade(image, _near((70, 190, 220), rng), _near((20, 140, 200), rng), deck, 256)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, deck - 4, 256, deck + 3), fill=(246, 248, 248))
    for lane in range(3):
        y = deck + 45 + 60 * lane
        for x in range(-int(rng.integers(0, 12)), 256, 12):
            draw.rectangle(
                (x, y, x + 6, y + 3), fill=(240, 240, 240) if x // 12 % 2 else (205, 60, 60)
            )
    for x, y in rng.integers((0, deck + 8), (256, 256), (70, 2)).tolist():
        draw.arc((x, y, x + 22, y + 8), 200, 340, fill=(170, 228, 240))


def _stage(image: Image.Image, rng: np.random.Generator) -> None:
    curtain = _near((120, 24, 40), rng, 20)
    fold, floor = int(rng.integers(13, 22)), int(rng.integers(165, 195))
    draw = ImageDraw.Draw(image)
    for x in range(0, 256, fold):
        shade = int(rng.integers(-22, 22))
        tone = tuple(int(np.clip(c + shade, 0, 255)) for c in curtain)
        draw.rectangle((x, 0, x + fold, floor), fill=tone)
    _fade(image, _near((150, 96, 54), rng), _near((96, 58, 32), rng), floor, 256)
    beams = Image.new("L", image.size)
    for x in rng.integers(20, 236, 3).tolist():
        reach = int(rng.integers(-50, 50))
        cone = [(x, 0), (x + reach - 34, floor + 40), (x + reach + 34, floor + 40)]
        ImageDraw.Draw(beams).polygon(cone, fill=70)
    image.paste((255, 244, 200), (0, 0), beams)


PLACES: dict[str, Draw] = {
    "beach": _beach,
    "forest": _forest,
    "desert": _desert,
    "street": _street,
    "field": _field,
    "mountain": _mountain,
    "city": _city,
    "snow": _snow,
    "kitchen": _kitchen,
    "pool": _pool,
    "stage": _stage,
}
