"""How a run tells what it does; `flows` gives the one with progress bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Reporter(Protocol):
    """Hears what a run does."""

    def stage(self, name: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """A stage begins; call the result with the number of units just done."""

    def progress(self, done: int, total: int, words: str) -> None:
        """Steps within a unit, such as training."""


class Quiet:
    """Says nothing."""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Nothing."""
        yield lambda _: None

    def progress(self, done: int, total: int, words: str) -> None:
        """Nothing."""
