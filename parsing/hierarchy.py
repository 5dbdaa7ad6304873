"""Which tag is a kind of which: WordNet's hypernyms between the tags of one label system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from parsing import wordnet
from parsing.keys import PART
from parsing.labels import LabelSystem
from parsing.senses import Sense

Parents = Mapping[int, tuple[int, ...]]


def parents(system: LabelSystem) -> Parents:
    """The nearest more general tags of each object and scene tag, by ID.

    A tag means the dominant sense of its name; a compound that WordNet lacks is a kind of its head
    noun ("brick building": building), unless it only imitates one ("toy car").
    """
    nouns = {x.tag_id: x.name for x in system.labels if PART[x.kind] == "noun"}
    meant: dict[str, int] = {}
    for tag_id, name in sorted(nouns.items(), reverse=True):
        if found := wordnet.senses(name, "n"):
            meant[found[0].name] = tag_id
    by_name = {name: tag_id for tag_id, name in nouns.items()}
    over: dict[int, set[int]] = {}
    for tag_id, name in nouns.items():
        if found := wordnet.senses(name, "n"):
            general = {meant[sense] for sense in wordnet.above(found[0]) & meant.keys()}
        else:
            head = wordnet.head_noun(name)
            general = {by_name[head]} if head in by_name else set()
        over[tag_id] = general - {tag_id}
    closed = {tag_id: _closure(tag_id, over) for tag_id in over}
    return {
        tag_id: tuple(sorted(p for p in general if not _reaches(p, general, closed)))
        for tag_id, general in over.items()
        if general
    }


def _closure(tag_id: int, over: Mapping[int, set[int]]) -> set[int]:
    found: set[int] = set()
    pending = [*over[tag_id]]
    while pending:
        above = pending.pop()
        if above not in found:
            found.add(above)
            pending += over[above]
    return found


def _reaches(parent: int, general: set[int], closed: Mapping[int, set[int]]) -> bool:
    """Whether the parent lies above another parent, and so is not the nearest."""
    return any(parent in closed[other] for other in general if other != parent)


LIKELY = 0.1
"""Share of a word's uses from which on a sense is one that captions may mean."""


def akin(system: LabelSystem) -> Iterator[tuple[int, int]]:
    """Pairs of object and scene tags of which the first may be a kind of the second, by ID.

    By any likely senses of both names ("tortoise": turtle, which is mostly a jersey), so these are
    more than `parents` has, and less sure.
    """
    nouns = {x.tag_id: x.name for x in system.labels if PART[x.kind] == "noun"}
    likely = {tag_id: _likely(name) for tag_id, name in nouns.items()}
    meant: dict[str, set[int]] = {}
    for tag_id, found in likely.items():
        for sense in found:
            meant.setdefault(sense.name, set()).add(tag_id)
    for tag_id, name in sorted(nouns.items()):
        # A compound that WordNet lacks may be what its head noun may be.
        found = likely[tag_id] or _likely(wordnet.head_noun(name) or "")
        general = {above for sense in found for above in wordnet.above(sense) & meant.keys()}
        over = {other for above in general for other in meant[above]} - {tag_id}
        yield from ((tag_id, other) for other in sorted(over))


def _likely(name: str) -> list[Sense]:
    weighed = zip(wordnet.senses(name, "n"), wordnet.shares(name, "n"), strict=True)
    return [sense for sense, share in weighed if share >= LIKELY]
