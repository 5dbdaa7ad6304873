"""What the planted scenes can show, read from vocabulary.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["object", "scene", "attribute", "action"]


class Entry(BaseModel):
    """What every entry of the vocabulary has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    confusable: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


class Thing(Entry):
    """A class of objects, or a kind of person."""

    id: str
    emoji: tuple[str, ...]
    tickets: int
    colours: Literal["any", "coat", "fruit", "none"] = "none"
    plural: str = ""
    plural_only: bool = False
    synonyms: tuple[str, ...] = ()
    natural: tuple[str, ...] = ()
    person: bool = False


class Action(Entry):
    """What a man or a woman can be seen doing."""

    ing: str
    man: tuple[str, ...]
    woman: tuple[str, ...]
    object: str = ""


class Attribute(Entry):
    """A colour, when it has one, or a pattern."""

    rgb: tuple[int, int, int] | None = None


class Place(Entry):
    """A background."""

    phrase: str


class Vocabulary(BaseModel):
    """All entries, in the order of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objects: tuple[Thing, ...]
    people: tuple[Thing, ...]
    actions: tuple[Action, ...]
    attributes: tuple[Attribute, ...]
    scenes: tuple[Place, ...]

    def names(self, kind: Kind) -> tuple[str, ...]:
        """List the tag names of one kind, homonyms once."""
        return tuple(dict.fromkeys(entry.name for entry in self._entries(kind)))

    def confusable(self, kind: Kind, name: str) -> tuple[str, ...]:
        """List the names easily taken for, or seen with, `name`."""
        same = [entry for entry in self._entries(kind) if entry.name == name]
        return tuple(dict.fromkeys(other for entry in same for other in entry.confusable))

    def _entries(self, kind: Kind) -> tuple[Entry, ...]:
        entries: dict[Kind, tuple[Entry, ...]] = {
            "object": self.objects + self.people,
            "scene": self.scenes,
            "attribute": self.attributes,
            "action": self.actions,
        }
        return entries[kind]


@cache
def load_vocabulary() -> Vocabulary:
    """Read the vocabulary once."""
    path = Path(__file__).parent / "vocabulary.toml"
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    for entry in [*values["objects"], *values["people"]]:
        entry.setdefault("name", entry["id"])
        entry.setdefault("plural", _regular_plural(entry["name"]))
    for entry in values["people"]:
        entry["person"] = True
    return Vocabulary.model_validate(values)


def plural(thing: Thing, word: str) -> str:
    """Return the plural of one of a thing's words."""
    return thing.plural if word == thing.name else _regular_plural(word)


def _regular_plural(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")
