"""The label system: which surface forms are which tag, and why the others are none."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from parsing import wordnet
from parsing.config import LabelConfig
from parsing.errors import ParsingError
from parsing.graph import Kind

if TYPE_CHECKING:
    from parsing.merging import Doubts, Translations
    from parsing.seeds import Seed

__all__ = [
    "APPLIED",
    "DROPPED_BY_HAND",
    "KEPT_BY_HAND",
    "Label",
    "LabelConfig",
    "LabelSystem",
    "Merge",
    "MergeState",
    "Surface",
    "SurfaceCount",
    "build_labels",
    "entry",
]


MergeState = Literal["auto", "needs-review", "confirmed", "rejected"]
APPLIED: tuple[MergeState, ...] = ("auto", "confirmed")
"""States of merges that are made; the others wait or are refused."""

KEPT_BY_HAND, DROPPED_BY_HAND = "kept by hand", "dropped by hand"
"""Reasons of surfaces that a person decided on: no build and no review asks again."""


@dataclass(frozen=True, slots=True)
class SurfaceCount:
    """How often a corpus says a surface form, and of how many images."""

    surface: str
    kind: Kind
    mentions: int
    images: int


@dataclass(frozen=True, slots=True)
class Label:
    """A tag; its ID never changes and is never given to another."""

    tag_id: int
    name: str
    kind: Kind
    mentions: int


@dataclass(frozen=True, slots=True)
class Surface:
    """A surface form that was considered: its tag, or the reason why it has none."""

    surface: str
    kind: Kind
    tag_id: int | None
    state: Literal["kept", "dropped"]
    reason: str | None
    mentions: int


@dataclass(frozen=True, slots=True)
class Merge:
    """`surface` into the tag named `into`; one in review is not applied."""

    tag_id: int
    surface: str
    into: str
    evidence: str
    score: float
    state: MergeState


@dataclass(frozen=True)
class LabelSystem:
    """A version of the vocabulary: tags by ID, surfaces by name, merges by their two ends."""

    labels: tuple[Label, ...] = ()
    surfaces: tuple[Surface, ...] = ()
    merges: tuple[Merge, ...] = ()
    ever_free: int = 0
    """No ID below was ever given to a tag that is no longer here."""
    thresholds: tuple[tuple[int, float], ...] = ()
    """(ID, score) of a published list: from which score its model gives the tag."""

    @property
    def first_free(self) -> int:
        """One above every ID that was ever seen: a retired one is not given again."""
        used = [
            *(x.tag_id for x in self.labels),
            *(s.tag_id for s in self.surfaces if s.tag_id is not None),
            *(m.tag_id for m in self.merges),
        ]
        return max(self.ever_free, max(used, default=-1) + 1)

    @cached_property
    def kinds(self) -> dict[int, Kind]:
        """The kind of each tag by its ID."""
        return {label.tag_id: label.kind for label in self.labels}

    def kind_of(self, merge: Merge) -> Kind:
        """Of its tag, and with it the part of speech: to stroll is to walk, a stroll is a walk."""
        return self.kinds.get(merge.tag_id, "object")

    def near(self, surface: str) -> str:
        """ " Did you mean ...?", or nothing."""
        forms = [s.surface for s in self.surfaces if s.tag_id is not None]
        close = difflib.get_close_matches(surface, forms, n=3)
        return f" Did you mean {', '.join(close)}?" if close else ""

    @cached_property
    def digest(self) -> str:
        """The same content gives the same 16 characters, wherever it was built or stored."""
        content: dict[str, list[list[object]]] = {
            "labels": [[x.tag_id, x.name, x.kind, x.mentions] for x in self.labels],
            "surfaces": [
                [x.surface, x.kind, x.tag_id, x.state, x.reason, x.mentions] for x in self.surfaces
            ],
            # a score may have been stored as float32: four digits survive that
            "merges": [
                [x.tag_id, x.surface, x.into, x.evidence, f"{x.score:.4f}", x.state]
                for x in self.merges
            ],
        }
        if self.thresholds:
            content["thresholds"] = [[tag_id, cut] for tag_id, cut in self.thresholds]
        rows = {name: sorted(json.dumps(row) for row in part) for name, part in content.items()}
        return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def version(self) -> str:
        """A label system is named by its digest."""
        return self.digest

    @classmethod
    def from_list(cls, names: Iterable[str]) -> LabelSystem:
        """A given vocabulary in ID order: each entry "name" or "name,kind"."""
        labels: list[Label] = []
        for line in (name.strip() for name in names):
            if not line:
                raise ParsingError(
                    f"Tag {len(labels)} of the list is empty: IDs follow the lines, so name it."
                )
            name, kind = entry(line)
            labels.append(Label(len(labels), name, kind, 0))
        seen: dict[tuple[str, Kind], int] = {}
        for label in labels:
            if (first := seen.setdefault((label.name, label.kind), label.tag_id)) != label.tag_id:
                raise ParsingError(
                    f"Tags {first} and {label.tag_id} are both {label.name!r} ({label.kind}): "
                    "write 'name,kind' to tell them apart."
                )
        surfaces = [Surface(x.name, x.kind, x.tag_id, "kept", None, 0) for x in labels]
        surfaces.sort(key=lambda s: (s.surface, s.kind))
        return cls(tuple(labels), tuple(surfaces))

    @classmethod
    def from_file(cls, path: Path) -> LabelSystem:
        """`from_list` of a text file, one tag a line."""
        try:
            text = path.read_text(encoding="utf-8-sig")  # Excel begins with a mark
        except (OSError, UnicodeDecodeError) as error:
            raise ParsingError(f"The vocabulary {path} cannot be read: {error}") from error
        return cls.from_list(text.splitlines())


def build_labels(
    counts: Sequence[SurfaceCount],
    config: LabelConfig,
    previous: LabelSystem | None = None,
    doubts: Doubts | None = None,
    *,
    words: Translations | None = None,
    seeds: Sequence[Seed] = (),
) -> LabelSystem:
    """A label system from a corpus, extending an older one whose IDs stay as they are.

    Merges in `doubts` are left to a person; `words` of another language speak for merges; `seeds`
    get a tag in any case.
    """
    from parsing.build import Builder

    build = Builder(counts, config, previous or LabelSystem(), doubts or {}, words or {}, seeds)
    return build.system()


def entry(text: str) -> tuple[str, Kind]:
    """A name and its kind from "name" or "name,kind".

    Raises:
        ParsingError: an unknown kind.
    """
    name, comma, word = text.rpartition(",")
    for kind in get_args(Kind):
        if comma and word.strip() == kind:
            return name.strip().lower(), kind
    if comma and word.strip().isalpha():
        choices = ", ".join(get_args(Kind))
        raise ParsingError(
            f"Unknown kind {word.strip()!r} of tag {name!r}. Choose from: {choices}."
        )
    return text.lower(), wordnet.likely_kind(text.lower())
