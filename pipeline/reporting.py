"""How a run tells what it does; `flows` gives the one with progress bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Event, Thread
from time import monotonic
from typing import Protocol

EVERY = 0.2
"""Seconds between what a worker tells."""


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


class Relayed(Quiet):
    """Of a worker: tells the process that started it, some times a second."""

    def __init__(self, sender: Connection) -> None:
        self._sender = sender
        self._last = 0.0

    def progress(self, done: int, total: int, words: str) -> None:
        """One small write, which a pipe keeps whole though several workers share it."""
        if done == total or monotonic() - self._last > EVERY:
            self._sender.send((done, total, words))
            self._last = monotonic()


@contextmanager
def relay(reporter: Reporter) -> Iterator[Connection]:
    """What workers send into the connection's end is told to `reporter`."""
    receiver, sender = get_context("spawn").Pipe(duplex=False)
    ended = Event()

    def listen() -> None:
        while not ended.is_set():
            if receiver.poll(EVERY):
                reporter.progress(*receiver.recv())

    listener = Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield sender
    finally:
        ended.set()
        listener.join()
        receiver.close()
        sender.close()
