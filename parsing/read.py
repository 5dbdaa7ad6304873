"""Which words are one thing and which are two, as found by reading the starter system.

The record of that reading is `starter/corrections.tsv`. It knows what WordNet says only of a minor
sense ("bike", "bicycle"), or not at all ("lorry", "truck").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from parsing.graph import Kind
from parsing.keys import PART, Key
from parsing.lexicon import lines

KINDS: dict[str, Kind] = {kind: kind for kind in PART}


@cache
def corrections() -> tuple[tuple[str, Kind, str, str], ...]:
    """The rows of the record: action, kind, surface and what else the action needs."""
    rows = (line.split("\t") for line in lines("starter/corrections", ".tsv"))
    return tuple(
        (action, KINDS[kind], surface, other)
        for action, kind, surface, other in ((*row, "", "")[:4] for row in rows)
    )


def _pairs(wanted: str) -> Iterator[tuple[Key, Key]]:
    for action, kind, surface, other in corrections():
        if action == wanted:
            yield (surface, PART[kind]), (other, PART[kind])


@cache
def _meanings() -> dict[Key, frozenset[Key]]:
    found: dict[Key, set[Key]] = defaultdict(set)
    for name, other in _pairs("merge"):
        found[name].add(name)
        found[other].add(name)
    return {word: frozenset(names) for word, names in found.items()}


def meanings(word: Key) -> frozenset[Key]:
    """The names of the things that the word was read to mean; of most words nothing was."""
    return _meanings().get(word, frozenset())


def the_same(one: Key, other: Key) -> bool:
    """Whether both words were read to mean one thing."""
    return bool(meanings(one) & meanings(other))


@cache
def _apart() -> frozenset[frozenset[Key]]:
    return frozenset(frozenset(pair) for pair in _pairs("apart"))


def apart(one: Key, other: Key) -> bool:
    """Whether the words were read to mean two things, whatever WordNet says."""
    return frozenset({one, other}) in _apart()
