"""Writes docs/settings.md from the config: `python -m tests.settings_page`; a test compares it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from model.config import TrainConfig
from pipeline.config import Config
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "settings.md"
INTRODUCTION = """\
# Settings

Every setting with its default. `--set clean.cut=paper` changes one (values as in TOML), `--config FILE` many: TOML or YAML with a section for each stage, such as

```
seed = 7

[clean]
cut = "paper"
spare = ["dog"]

[baseline.tagger]
encoder_epochs = 2
```

**Settings are not remembered.** Each command starts from the defaults, so say the same `--set` or `--config` to every `run`, `retrain`, `labels` edit, `trigger` and `schedule` of a lake; `tagwright plan` with them says what would run. A run without a setting that the last one had goes back to the default, and what was made with it is found again when it is said again. `runs.config` holds what each run had.

Which sections a stage reads is in [architecture.md](architecture.md). `train` has presets of its own ([models.md](models.md)).
"""  # noqa: E501
RECIPES = ("baseline.tagger", "retrain.tagger", "retrain.finetune", "refine.tagger")


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
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
