"""Writes the tables of docs/settings.md: `python -m tests.settings_page`; a test compares them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from model.config import TrainConfig
from pipeline.config import Config
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "settings.md"
MARK = "<!-- From here on written by tests/settings_page.py -->\n\n"
RECIPES = ("baseline.tagger", "retrain.tagger", "retrain.finetune", "refine.tagger")


def page() -> str:
    """The whole page: what people wrote before the mark, and what the config says."""
    parts = [PAGE.read_text(encoding="utf-8").split(MARK)[0], MARK]
    config = Config()
    for name, field in Config.model_fields.items():
        value = getattr(config, name)
        if not isinstance(value, BaseModel):
            parts.append(_table([(name, value, field.description or "of all random choices")]))
            continue
        text = " ".join((type(value).__doc__ or "").split())
        parts.append(f"\n## {name}\n\n{text}\n\n" + _table(list(_rows(name, value))))
    parts.append(_recipes(config))
    return "".join(parts)


def _rows(prefix: str, section: BaseModel) -> Iterator[tuple[str, Any, str]]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        key = f"{prefix}.{name}"
        if key in RECIPES:
            yield key, "below", "[recipe](#recipes-of-taggers)"
        elif isinstance(value, BaseModel):
            yield from _rows(key, value)
        else:
            yield key, value, field.description or ""


def _recipes(config: Config) -> str:
    recipes = [getattr(getattr(config, s), t) for s, t in (key.split(".") for key in RECIPES)]
    lines = [
        "\n## Recipes of taggers\n",
        f"Such as `{RECIPES[0]}.encoder_epochs`.\n",
        "| setting | " + " | ".join(RECIPES) + " | meaning |",
        "| --- |" + " --- |" * (len(RECIPES) + 1),
    ]
    for name, field in TrainConfig.model_fields.items():
        values = " | ".join(_shown(getattr(recipe, name)) for recipe in recipes)
        lines.append(f"| {name} | {values} | {field.description or ''} |")
    return "\n".join(lines) + "\n"


def _table(rows: list[tuple[str, Any, str]]) -> str:
    lines = ["| setting | default | meaning |", "| --- | --- | --- |"]
    lines += [f"| {key} | {_shown(value)} | {meaning} |" for key, value, meaning in rows]
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if value is None or value in ((), ""):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
