"""Words of another language for surface forms: a second opinion on what means the same."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from parsing.errors import ParsingError
from parsing.keys import PART, Key, Part
from parsing.label_files import PublishedList
from parsing.merging import Translations

PARTS: tuple[Part, ...] = get_args(Part)
TOO_COMMON = 40
"""A word that stands for more surface forms than this says nothing about any two of them."""


def read_translations(path: Path, of: Path | None = None) -> Translations:
    """The words of a bilingual list.

    A line is `surface<TAB>word`, or `surface,word` in a `.csv`; "/" stands between several words.
    With `of`, the lines of both files belong together, as in the published tag lists; a name that
    comes again there is its next part of speech.

    Raises:
        ParsingError: an unreadable file, a line without a word's column, files of unequal length.
    """
    if of is not None:
        return _usable(_aligned(PublishedList.read(of, translations=path)))
    return _usable(_pairs(path))


def digest_source(words: Translations) -> str:
    """All words as one text: two files with the same words are the same input."""
    return json.dumps(sorted([*key, *sorted(found)] for key, found in words.items()))


def _pairs(path: Path) -> Iterator[tuple[Key, str]]:
    for line, fields in enumerate(_rows(path), start=1):
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != 2 or not fields[0].strip():
            sign = "comma" if path.suffix == ".csv" else "tab"
            found = " ".join(" ".join(fields).split())
            raise ParsingError(
                f"{path}, line {line}: {found!r} is not a surface form, a {sign} and its "
                "translation; put / between several translations."
            )
        surface = " ".join(fields[0].lower().split())
        yield from (((surface, part), fields[1]) for part in PARTS)


def _rows(path: Path) -> Iterable[list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ParsingError(f"{path}: cannot be read as UTF-8: {error}.") from error
    if path.suffix != ".csv":
        return [line.split("\t") for line in text.splitlines()]
    try:
        return list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise ParsingError(f"{path}: is no CSV: {error}.") from error


def _aligned(given: PublishedList) -> Iterator[tuple[Key, str]]:
    times: dict[str, int] = defaultdict(int)
    labels = given.system().labels
    for label in labels:
        times[label.name] += 1
    for label, text in zip(labels, given.translations or (), strict=True):
        parts: tuple[Part, ...] = PARTS if times[label.name] == 1 else (PART[label.kind],)
        yield from (((label.name, part), text) for part in parts)


def _usable(pairs: Iterable[tuple[Key, str]]) -> Mapping[Key, frozenset[str]]:
    """Words by surface form, without those that stand for too many."""
    words: dict[Key, set[str]] = defaultdict(set)
    surfaces: dict[tuple[str, Part], set[str]] = defaultdict(set)
    for (surface, part), text in pairs:
        for word in _words(text):
            words[surface, part].add(word)
            surfaces[word, part].add(surface)
    return {
        key: frozenset(kept)
        for key, found in sorted(words.items())
        if (kept := [word for word in found if len(surfaces[word, key[1]]) <= TOO_COMMON])
    }


def _words(text: str) -> Iterator[str]:
    """ "毯子/覆盖层 " is two words; full-width signs count as plain ones."""
    for word in unicodedata.normalize("NFKC", text).split("/"):
        if plain := " ".join(word.split()).casefold():
            yield plain
