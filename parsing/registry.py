"""The parsers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from parsing.errors import ParsingError
from parsing.graph import SceneGraph
from parsing.scene_graph import SpacyParser


class Parser(Protocol):
    """Captions in, scene graphs out."""

    @property
    def digest(self) -> str:
        """Identifies everything that decides the result."""
        ...

    def setup(self) -> None:
        """Load what `parse` needs, once."""
        ...

    def parse(self, texts: Sequence[str]) -> list[SceneGraph]:
        """One result per text, in order; never raises on any text."""
        ...


PARSERS: dict[str, Callable[..., Parser]] = {"spacy": SpacyParser}


def make_parser(name: str, **options: Any) -> Parser:
    """A parser by its name; constructing it loads nothing."""
    if name not in PARSERS:
        raise ParsingError(f"Unknown parser {name!r}. Choose from: {', '.join(sorted(PARSERS))}.")
    return PARSERS[name](**options)
