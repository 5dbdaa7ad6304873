"""What the parser reads in a caption: objects, attributes, actions, relations, all with spans."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

NounKind = Literal["object", "scene"]
Kind = Literal["object", "scene", "attribute", "action"]


@dataclass(frozen=True, slots=True)
class Object:
    """A thing or a place that the caption names; the span covers its words."""

    name: str
    start: int
    end: int
    kind: NounKind


@dataclass(frozen=True, slots=True)
class Attribute:
    """A property of the object named `object`."""

    name: str
    object: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Action:
    """A verb in its base form, with who does it and to what, where the caption says so."""

    name: str
    subject: str | None
    object: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Relation:
    """subject, predicate `name`, object: (cat, "lay in", suitcase)."""

    name: str
    subject: str
    object: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mention:
    """A candidate tag: a surface form in lemma form, and where the caption says it."""

    name: str
    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SceneGraph:
    """One caption's parse; `note` says what was done to a caption that could not be read whole."""

    caption: str
    objects: tuple[Object, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    actions: tuple[Action, ...] = ()
    relations: tuple[Relation, ...] = ()
    note: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Ready for `json.dumps`; the note only where there is one."""
        content: dict[str, Any] = {"caption": self.caption}
        for part, names in _PARTS.items():
            # dataclasses.asdict copies deeply, which costs more than all the rules together
            content[part] = [
                {name: getattr(item, name) for name in names} for item in getattr(self, part)
            ]
        return content if self.note is None else content | {"note": self.note}

    def mentions(self) -> list[Mention]:
        """Every tag the caption gives, in reading order, each (name, kind, start) once."""
        found: dict[tuple[int, str, Kind], Mention] = {}
        for mention in [
            *(Mention(o.name, o.kind, o.start, o.end) for o in self.objects),
            *(Mention(a.name, "attribute", a.start, a.end) for a in self.attributes),
            *(Mention(a.name, "action", a.start, a.end) for a in self.actions),
        ]:
            found.setdefault((mention.start, mention.name, mention.kind), mention)
        return [found[key] for key in sorted(found)]


_PARTS = {
    part: tuple(field.name for field in fields(kind))
    for part, kind in {
        "objects": Object, "attributes": Attribute, "actions": Action, "relations": Relation,
    }.items()
}  # fmt: skip
