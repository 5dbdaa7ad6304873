"""Rasterise the pictures of the planted scenes from unpacked npm packages into sprite sheets.

Only needed when the vocabulary gains a picture. It wants `resvg_py` and a folder into which the
packages of `pipeline/scenes/assets/NOTICE.md` were unpacked, one folder per package:

    mkdir emoji && cd emoji
    for p in ...; do npm pack "$p"; done
    for f in *.tgz; do mkdir "${f%.tgz}" && tar xzf "$f" -C "${f%.tgz}"; done
    python -m bench.build_scene_assets emoji
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

SCENES = Path(__file__).parent.parent / "pipeline" / "scenes"
CELL = 96
COLUMNS = 16
QUALITY = 82

# Sets with a table from code points to names; the older ones are looked up by Noto's names.
CHARTED = {"noto": "noto", "twemoji": "twemoji", "fluent-flat": "fluent-emoji-flat"}
NAMED = {"noto-v1": "noto-v1", "emojione": "emojione"}

# Pictures that show something else as well or instead: a rider, a desktop computer.
SKIPPED = {("emojione", "1f3cd"), ("noto-v1", "1f4bb")}

Draw = Callable[[str], bytes | None]


def code_points(vocabulary: dict[str, Any]) -> list[str]:
    """List every picture the vocabulary asks for, in its order."""
    found: list[str] = []
    for entry in [*vocabulary["objects"], *vocabulary["people"]]:
        found += entry["emoji"]
    for action in vocabulary["actions"]:
        found += action["man"] + action["woman"]
    return list(dict.fromkeys(found))


def package(source: Path, name: str) -> Path:
    """Find the unpacked package `name`, whatever its version."""
    matches = sorted(source.glob(f"{name}-[0-9]*/package"))
    if not matches:
        raise SystemExit(f"error: {source} holds no {name}-VERSION/package; see NOTICE.md")
    return matches[-1]


def icon_set(folder: Path, chars: dict[str, str]) -> Draw:
    """Return a function from code points to the SVG of an Iconify set."""
    icons = json.loads((folder / "icons.json").read_text(encoding="utf-8"))
    resvg = importlib.import_module("resvg_py")

    def draw(code: str) -> bytes | None:
        name = chars.get(code, "")
        name = icons.get("aliases", {}).get(name, {}).get("parent", name)
        if name not in icons["icons"]:
            return None
        icon = icons["icons"][name]
        width, height = (icon.get(k, icons.get(k, 16)) for k in ("width", "height"))
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
        )
        return bytes(resvg.svg_to_bytes(svg_string=svg, width=4 * CELL))

    return draw


def bitmap_set(folder: Path) -> Draw:
    """Return a function from code points to a WebP of the Fluent 3D set."""
    files = {path.stem.replace("-fe0f", ""): path for path in (folder / "assets").glob("*.webp")}
    return lambda code: files[code].read_bytes() if code in files else None


def sprite(data: bytes) -> Image.Image:
    """Trim a picture to what is visible and fit it into a cell."""
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    # Faint shadows are no part of the thing: its box must be tight around what one sees.
    box = image.getchannel("A").point(lambda a: 255 * (a > 40)).getbbox()
    image = image.crop(box)
    image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return image


def build_sheet(draw: Draw, codes: list[str], file: Path) -> dict[str, list[int]]:
    """Write one style's sheet and return where each sprite lies as x, y, width, height."""
    sprites = {code: sprite(data) for code in codes if (data := draw(code))}
    rows = -(-len(sprites) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * CELL, rows * CELL))
    places = {}
    for number, (code, image) in enumerate(sprites.items()):
        x, y = number % COLUMNS * CELL, number // COLUMNS * CELL
        sheet.paste(image, (x, y))
        places[code] = [x, y, image.width, image.height]
    sheet.save(file, "WEBP", quality=QUALITY, alpha_quality=90, method=6)
    return places


def main() -> None:
    """Build every sheet and the index."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("source", type=Path, help="folder with the unpacked npm packages")
    source = parser.parse_args().source
    codes = code_points(tomllib.loads((SCENES / "vocabulary.toml").read_text(encoding="utf-8")))
    folders = {
        style: package(source, f"iconify-json-{name}") for style, name in (CHARTED | NAMED).items()
    }
    chars = {
        style: json.loads(
            (folders[style if style in CHARTED else "noto"] / "chars.json").read_text()
        )
        for style in folders
    }
    draws = {style: icon_set(folders[style], chars[style]) for style in folders}
    draws["fluent-3d"] = bitmap_set(package(source, "lobehub-fluent-emoji-3d"))
    index = {}
    for style, draw in draws.items():
        wanted = [code for code in codes if (style, code) not in SKIPPED]
        index[style] = build_sheet(draw, wanted, SCENES / "assets" / f"{style}.webp")
        print(f"{style}: {len(index[style])} of {len(codes)}")
    text = json.dumps(index, separators=(",", ":")).replace("},", "},\n")
    (SCENES / "assets" / "index.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
