"""WordNet's senses read straight from its data files: NLTK's objects are too slow for every word.

The format is that of wndb(5WN): offset, lexicographer file, part of speech, words, pointers, gloss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

_FILES = {"n": "data.noun", "v": "data.verb", "a": "data.adj", "s": "data.adj", "r": "data.adv"}

_WITHOUT_OBJECT = {1, 2, 3, 4, 12, 22, 23, 25, 26, 27, 28}
"""Numbers of the frames "something ----s", "somebody ----s to somebody" and the like."""


@dataclass(frozen=True, slots=True, eq=False)
class Sense:
    """One synset; `name` as NLTK writes it: dog.n.01; `definition` without what follows a ";".

    Pointers are (part of speech, offset). An adjective may have an opposite ("small"), or only say
    what something has to do with ("military"). A verb's `alone` are its words that do without an
    object, by WordNet's sentence frames.
    """

    name: str
    lexname: str
    definition: str
    hypernyms: tuple[tuple[str, int], ...]
    instance_of: tuple[tuple[str, int], ...]
    similar: tuple[tuple[str, int], ...]
    opposed: bool
    relational: bool
    alone: frozenset[str] = frozenset()


class Senses:
    """All senses of one WordNet; each is made once, so the same sense is the same object."""

    def __init__(self, reader: Any) -> None:
        self._offsets: Mapping[str, Mapping[str, list[int]]] = reader._lemma_pos_offset_map
        self._lexnames: list[str] = reader._lexnames
        self._reader = reader
        self._known: dict[tuple[str, int], Sense] = {}
        self._above: dict[Sense, frozenset[str]] = {}

    def at(self, pos: str, offset: int) -> Sense:
        """The sense at a byte offset of a part of speech's file."""
        key = (_FILES[pos], offset)  # "a" and "s" (satellite adjectives) share a file
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._read(*key)
        return found

    def above(self, sense: Sense) -> frozenset[str]:
        """Names of a sense and all that it is a kind or an instance of."""
        names, pending = {sense.name}, [*sense.hypernyms, *sense.instance_of]
        while pending:
            over = self.at(*pending.pop())
            if (known := self._above.get(over)) is not None:
                names |= known
            elif over.name not in names:  # two verbs are each above the other
                names.add(over.name)
                pending += [*over.hypernyms, *over.instance_of]
        found = self._above[sense] = frozenset(names)
        return found

    def _read(self, name: str, offset: int) -> Sense:
        text = _file(self._reader, name)
        line = text[offset : text.index(b"\n", offset)].decode()
        columns, _, gloss = line.partition("|")
        field = columns.split()
        kind, words = field[2], int(field[3], 16)
        pointers = 5 + 2 * words
        first = field[4].partition("(")[0]  # adjectives may say where they stand: "galore(ip)"
        rank = self._offsets[first.lower()][kind].index(offset) + 1
        links: dict[str, list[tuple[str, int]]] = {"@": [], "@i": [], "&": []}
        signs: set[str] = set()
        for at in range(pointers, pointers + 4 * int(field[pointers - 1]), 4):
            signs.add(field[at])
            if field[at] in links:
                links[field[at]].append((field[at + 2], int(field[at + 1])))
        return Sense(
            f"{first.lower()}.{kind}.{rank:02d}",
            self._lexnames[int(field[1])],
            gloss.partition(";")[0].strip(),
            tuple(links["@"]),
            tuple(links["@i"]),
            tuple(links["&"]),
            "!" in signs,
            "\\" in signs,
            _alone(field, pointers) if kind == "v" else frozenset(),
        )


def _alone(field: list[str], pointers: int) -> frozenset[str]:
    """The words of a verb's sense that have a frame without an object: frames follow pointers."""
    words = [word.lower() for word in field[4 : pointers - 1 : 2]]
    at = pointers + 4 * int(field[pointers - 1])
    found: set[str] = set()
    for frame in range(at + 1, at + 1 + 3 * int(field[at]), 3):  # "+ 02 00": of all words
        if int(field[frame + 1]) in _WITHOUT_OBJECT:
            of = int(field[frame + 2], 16)
            found.update(words if not of else words[of - 1 : of])
    return frozenset(found)


@cache
def _file(reader: Any, name: str) -> bytes:
    with reader.open(name) as file:
        content: bytes = file.buffer.read()
        return content
