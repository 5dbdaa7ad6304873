"""Random choices whose shares are exact: tickets dealt from shuffled decks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")
DECK_SIZE = 100


class Deck(Generic[T]):
    """Deals tickets in a random order and begins again, newly shuffled, when all are dealt.

    What is dealt depends on the seed and on how much was dealt before, never on how much will be.
    """

    def __init__(self, tickets: Sequence[T], rng: np.random.Generator) -> None:
        if not tickets:
            raise ValueError("a deck needs tickets")
        self._tickets = tuple(tickets)
        self._rng = rng
        self._left: list[T] = []

    def deal(self) -> T:
        """Take the next ticket."""
        if not self._left:
            order = self._rng.permutation(len(self._tickets))
            self._left = [self._tickets[i] for i in order]
        return self._left.pop()

    def put_back(self, ticket: T) -> None:
        """Return a ticket that did not fit; it is dealt again soon, but not at once."""
        self._left.insert(max(len(self._left) - 5, 0), ticket)


class Quota:
    """Says how many of `total` things are to be chosen so that `share` of all of them are.

    Unlike a fixed number per scene it varies from scene to scene; what could not be chosen is
    owed, and added to the next scene's number.
    """

    def __init__(self, share: float, rng: np.random.Generator) -> None:
        self._share = share
        self._rng = rng
        self._left: list[bool] = []
        self._carry = 0.0
        self._owed = 0

    def take(self, total: int) -> int:
        """Return how many of the next `total` things to choose."""
        wanted = self._owed + sum(self._ticket() for _ in range(total))
        self._owed = 0
        return wanted

    def owe(self, number: int) -> None:
        """Report that `number` fewer (or, if negative, more) than wanted were chosen."""
        self._owed += number

    def _ticket(self) -> bool:
        if not self._left:
            exact = self._share * DECK_SIZE + self._carry
            true = round(exact)
            self._carry = exact - true
            self._left = [i < true for i in self._rng.permutation(DECK_SIZE)]
        return self._left.pop()
