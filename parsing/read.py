"""Which words are one thing and which are two, as found by reading the starter system.

The record of that reading is `starter/corrections.tsv`. It knows what WordNet says only of a minor
sense ("bike", "bicycle"), or not at all ("lorry", "truck").
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache

from parsing.lexicon import lines

_PART = {"object": "noun", "scene": "noun", "action": "verb", "attribute": "adjective"}
Word = tuple[str, str]
"""A surface form and its part of speech."""


@cache
def _rows(action: str) -> tuple[tuple[Word, Word], ...]:
    rows = (line.split("\t") for line in lines("starter/corrections", ".tsv"))
    return tuple(
        ((surface, _PART[kind]), (other, _PART[kind]))
        for found, kind, surface, other, *_ in (row for row in rows if row[0] == action)
    )


@cache
def _meanings() -> dict[Word, frozenset[Word]]:
    found: dict[Word, set[Word]] = defaultdict(set)
    for name, other in _rows("merge"):
        found[name].add(name)
        found[other].add(name)
    return {word: frozenset(names) for word, names in found.items()}


def meanings(word: Word) -> frozenset[Word]:
    """The names of the things that the word was read to mean; of most words nothing was."""
    return _meanings().get(word, frozenset())


def the_same(one: Word, other: Word) -> bool:
    """Whether both words were read to mean one thing."""
    return bool(meanings(one) & meanings(other))


@cache
def _apart() -> frozenset[frozenset[Word]]:
    return frozenset(frozenset(pair) for pair in _rows("apart"))


def apart(one: Word, other: Word) -> bool:
    """Whether the words were read to mean two things, whatever WordNet says."""
    return frozenset({one, other}) in _apart()
