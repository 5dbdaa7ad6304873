"""Pictures of things: cut from the sprite sheets, painted, patterned, and their colours named."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.scenes.vocabulary import load_vocabulary

ASSETS = Path(__file__).parent / "assets"
COLOUR_NAMES = ("red", "orange", "yellow", "green", "blue", "pink", "black", "white")

Pixels = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@cache
def index() -> dict[str, dict[str, tuple[int, int, int, int]]]:
    """Read which style holds which picture, and where."""
    places = json.loads((ASSETS / "index.json").read_text(encoding="utf-8"))
    return {s: {code: tuple(box) for code, box in found.items()} for s, found in places.items()}


@cache
def _sheet(style: str) -> Image.Image:
    return Image.open(ASSETS / f"{style}.webp").convert("RGBA")


@lru_cache(maxsize=4096)
def sprite(style: str, code: str) -> Image.Image:
    """Cut one picture out of its style's sheet."""
    x, y, width, height = index()[style][code]
    return _sheet(style).crop((x, y, x + width, y + height))


def styles_with(code: str, styles: tuple[str, ...]) -> list[str]:
    """List those of `styles` that draw the picture."""
    return [style for style in styles if code in index()[style]]


def _pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, np.float32) / np.float32(255)


def paint(image: Image.Image, colour: str) -> Image.Image:
    """Give a thing another colour, keeping its light and shade."""
    values = _pixels(image)
    target = next(a.rgb for a in load_vocabulary().attributes if a.name == colour)
    assert target is not None
    rgb, visible = values[..., :3], values[..., 3] > 0.5
    light: Pixels = (rgb @ np.array([0.3, 0.59, 0.11])).astype(np.float32)
    weight = _body(rgb, light, visible)[..., None]
    body = visible & (weight[..., 0] > 0)
    low, middle, high = np.percentile(light[body if body.any() else visible], [5, 50, 95])
    # The commonest shade becomes the colour itself, or a dark thing would never be white.
    level = np.clip(0.5 + 0.85 * (light - middle) / max(high - low, 0.3), 0, 1)[..., None]
    base = np.array(target, np.float32) / 255
    painted = np.where(
        level < 0.5,
        base * (0.62 + 0.76 * level),
        base + (1 - base) * (level - 0.5) * 0.55,
    )
    values[..., :3] = rgb * (1 - weight) + painted * weight
    return Image.fromarray((values * 255).astype(np.uint8))


def _body(rgb: Pixels, light: Pixels, visible: Mask) -> Pixels:
    """Weigh pixels by whether they belong to the body: tyres, windows and eyes keep their look."""
    hue, saturation, _ = hsv(rgb)
    vivid = visible & (saturation > 0.3)
    if vivid.sum() > 0.4 * visible.sum():
        counts = np.bincount((hue[vivid] // 15).astype(int), minlength=24)
        main = int((counts + np.roll(counts, 1) + np.roll(counts, -1)).argmax()) * 15 + 7.5
        near: Mask = vivid & (np.abs((hue - main + 180) % 360 - 180) < 32)
        if near.sum() > 0.4 * visible.sum():
            return near.astype(np.float32)
    return (light > 0.16).astype(np.float32)


def pattern(image: Image.Image, name: str, rng: np.random.Generator) -> Image.Image:
    """Lay stripes, spots or checks over a thing, inside its outline."""
    values = _pixels(image)
    height, width = values.shape[:2]
    side = max(height, width)
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u = (x * np.cos(angle) + y * np.sin(angle)) / side + rng.uniform(0, 1)
    v = (y * np.cos(angle) - x * np.sin(angle)) / side + rng.uniform(0, 1)
    if name == "striped":
        marks = (u / rng.uniform(0.15, 0.2)) % 1 < 0.45
    elif name == "spotted":
        step = rng.uniform(0.17, 0.22)
        marks = ((u / step) % 1 - 0.5) ** 2 + ((v / step) % 1 - 0.5) ** 2 < 0.3**2
    else:
        step = rng.uniform(0.13, 0.17)
        marks = (np.floor(u / step) + np.floor(v / step)) % 2 < 1
    light = float((values[..., :3].mean(-1) * values[..., 3]).sum() / values[..., 3].sum())
    ink = np.array([1.0, 1.0, 0.96] if light < 0.55 else [0.13, 0.12, 0.2], np.float32)
    values[..., :3] = np.where(marks[..., None], 0.2 * values[..., :3] + 0.8 * ink, values[..., :3])
    return Image.fromarray((values * 255).astype(np.uint8))


def hsv(rgb: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Return hue in degrees, saturation and value."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    # Of three numbers, which is much quicker than over an axis of three.
    high: Pixels = np.maximum(np.maximum(red, green), blue)
    low: Pixels = np.minimum(np.minimum(red, green), blue)
    spread = np.maximum(high - low, 1e-6)
    hue = np.where(
        high == red,
        (green - blue) / spread % 6,
        np.where(high == green, (blue - red) / spread + 2, (red - green) / spread + 4),
    )
    saturation: Pixels = np.divide(high - low, np.maximum(high, 1e-6), dtype=np.float32)
    return (60 * hue).astype(np.float32), saturation, high


def colour_shares(image: Image.Image) -> dict[str, float]:
    """Return the share of a picture's pixels that anyone would call each colour."""
    values = _pixels(image)
    rgb = values[values[..., 3] > 0.5][:, :3]
    hue, saturation, value = hsv(rgb)
    gray = saturation < 0.14
    dark = (value < 0.25) | (gray & (value < 0.36)) | ((saturation < 0.3) & (value < 0.3))
    vivid = ~gray & ~dark & (saturation > 0.3)
    pinkish = ((hue >= 335) | (hue < 10)) & (saturation < 0.58) & (value > 0.75)
    named = {
        "black": dark,
        "white": gray & ~dark & (value > 0.84),
        "orange": vivid & (hue >= 14) & (hue < 40) & (value >= 0.74) & (saturation > 0.5),
        "yellow": vivid & (hue >= 40) & (hue < 66) & (value >= 0.6),
        "green": vivid & (hue >= 66) & (hue < 172),
        "blue": vivid & (hue >= 185) & (hue < 250),
        "pink": vivid & (((hue >= 305) & (hue < 345)) | pinkish),
        "red": vivid & ((hue >= 345) | (hue < 14)) & ~pinkish,
    }
    return {name: float(named[name].mean()) for name in COLOUR_NAMES}
