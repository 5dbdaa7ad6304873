"""Progress bars on a terminal; silence elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)


class Bars:
    """A `pipeline.reporting.Reporter` that draws one bar per stage on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        self._inner: dict[str, TaskID] = {}

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar that counts units; without a terminal nothing is drawn."""
        columns = (
            TextColumn("{task.description:<16}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}"),
        )
        live = self._console.is_terminal
        with Progress(*columns, console=self._console, disable=not live) as progress:
            task = progress.add_task(name, total=total or None, words="")
            self._progress = progress
            try:
                yield lambda units: progress.advance(task, units)
            finally:
                self._progress = None
                self._inner.clear()

    def progress(self, done: int, total: int, words: str, now: str = "") -> None:
        """A bar for steps within a unit, such as training, as long as it lasts.

        `words` say which bar; `now` is written after them and may differ from step to step.
        """
        if self._progress is None:
            return
        if words not in self._inner:
            self._inner[words] = self._progress.add_task("", total=total, words=words)
        self._progress.update(self._inner[words], completed=done, total=total, words=words + now)
        if done == total:
            self._progress.remove_task(self._inner.pop(words))
