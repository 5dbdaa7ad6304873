"""Which surface forms mean the same tag: groups by strong evidence, rows to review by weak."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from parsing import read, wordnet
from parsing.graph import Kind
from parsing.keys import Key, Part
from parsing.wordnet import Evidence

_KIND_OF: dict[Part, Kind] = {"noun": "object", "verb": "action", "adjective": "attribute"}
_POS: dict[Part, str] = {"noun": "n", "verb": "v", "adjective": "a"}
Doubts = Mapping[frozenset[Key], str]
"""What a corpus says against a merge that WordNet or the spelling suggests."""
NO_DOUBTS: Doubts = {}
Translations = Mapping[Key, frozenset[str]]
"""Words of another language for a surface form."""
NO_WORDS: Translations = {}
_TOO_COMMON = 40  # surfaces below one synset beyond which a shared sense says nothing


def spelling(surface: str) -> str:
    """ "t-shirt", "t shirt" and "tshirt" alike; "" for symbols, which have no letters to compare.

    Marks are kept: in many scripts vowels are signs at the letter before them.
    """
    text = unicodedata.normalize("NFC", surface.lower())
    if not any(c.isalnum() for c in text):
        return ""
    return "".join(c for c in text if c.isalnum() or unicodedata.category(c).startswith("M"))


def evidence(
    a: Key, b: Key, words: Translations = NO_WORDS, *, reading: bool = True
) -> Evidence | None:
    """Why two surfaces may be the same tag; never across parts of speech.

    Strong: WordNet's shared dominant sense, the same letters, or that somebody has read the two as
    one thing; none, where they were read as two. A shared translation alone is weak, since one word
    of another language may translate two things. It is strong beside another weak reason (a minor
    sense, the letters of two listed words), and where the dominant senses are sisters in WordNet
    that share two translations: sisters ("ship", "boat") are what one coarse word lumps together,
    two words seldom are. Without `reading` nobody has read anything, as when the starter system is
    built that was read.
    """
    if a[1] != b[1] or (reading and read.apart(a, b)):
        return None
    found = _of_english(a, b, reading)
    if (found is not None and found.strong) or not (shared := _shared(a, b, words)):
        return found
    text = f"shared translation {', '.join(shared)}"
    if found is not None:
        return Evidence(f"{found.text}; {text}", round((1 + found.score) / 2, 4), strong=True)
    if (over := wordnet.sisters(a[0], b[0], _POS[a[1]])) is not None:
        both = f"{text}; both a kind of {over}"
        return Evidence(both, 0.7 if shared[1:] else 0.5, strong=len(shared) > 1)
    return Evidence(text, 0.4, strong=False)


def _of_english(a: Key, b: Key, reading: bool) -> Evidence | None:
    """What WordNet, a reader and the spelling say."""
    found = wordnet.synonym_evidence(a[0], b[0], _KIND_OF[a[1]])
    if found is not None and found.strong:
        return found
    if reading and read.the_same(a, b):
        return Evidence("read: the same", found.score if found is not None else 1.0, strong=True)
    if (letters := spelling(a[0])) and letters == spelling(b[0]):
        both = wordnet.has(a[0], _POS[a[1]]) and wordnet.has(b[0], _POS[b[1]])
        return Evidence("same letters", 0.5 if both else 1.0, strong=not both)
    return found


def _shared(a: Key, b: Key, words: Translations) -> list[str]:
    """Translations of both, in alphabetical order."""
    return sorted(words.get(a, frozenset()) & words.get(b, frozenset()))


def strong_pairs(
    keys: Iterable[Key], words: Translations = NO_WORDS, *, reading: bool = True
) -> Iterator[tuple[Key, Key]]:
    """Pairs that strong evidence joins; one that several reasons bring together may come again."""
    for bucket in _buckets(sorted(set(keys)), words):
        for a, b in combinations(bucket, 2):
            found = evidence(a, b, words, reading=reading)
            if found is not None and found.strong:
                yield a, b


def groups(
    keys: Iterable[Key], doubts: Doubts = NO_DOUBTS, words: Translations = NO_WORDS, *,
    reading: bool = True,
) -> list[list[Key]]:  # fmt: skip
    """Surfaces joined by strong evidence that nothing speaks against, in alphabetical order."""
    parent: dict[Key, Key] = {key: key for key in sorted(set(keys))}

    def root(key: Key) -> Key:
        while parent[key] != key:
            key = parent[key]
        return key

    for a, b in strong_pairs(parent, words, reading=reading):
        if frozenset({a, b}) not in doubts:
            first, second = sorted((root(a), root(b)))
            parent[second] = first
    joined: dict[Key, list[Key]] = defaultdict(list)
    for key in parent:
        joined[root(key)].append(key)
    return list(joined.values())


def _buckets(keys: Iterable[Key], words: Translations) -> Iterator[list[Key]]:
    """Only surfaces that share a dominant sense, letters, a meaning or a translation matter."""
    buckets: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in keys:
        if letters := spelling(key[0]):
            buckets["letters " + key[1], letters].append(key)
        if found := wordnet.senses(key[0], _POS[key[1]]):
            buckets["sense", found[0].name].append(key)
        for name, _ in read.meanings(key):
            buckets["read " + key[1], name].append(key)
        for word in sorted(words.get(key, ())):
            buckets["word " + key[1], word].append(key)
    return (bucket for bucket in buckets.values() if len(bucket) > 1)


def weak_pairs(
    keys: Iterable[Key], doubts: Doubts = NO_DOUBTS, words: Translations = NO_WORDS
) -> Iterator[tuple[Key, Key, Evidence]]:
    """Pairs with weak evidence only, or doubted: for a person to look at, each once."""
    by_sense: dict[str, set[Key]] = defaultdict(set)
    for key in keys:
        for synset in wordnet.senses(key[0], _POS[key[1]]):
            by_sense[synset.name].add(key)
        if letters := spelling(key[0]):
            by_sense["letters " + letters + key[1]].add(key)
        for name, _ in read.meanings(key):
            by_sense[f"read {name} {key[1]}"].add(key)
        for word in words.get(key, ()):
            by_sense[f"word {word} {key[1]}"].add(key)
    pairs = {
        pair
        for bucket in by_sense.values()
        if len(bucket) <= _TOO_COMMON
        for pair in combinations(sorted(bucket), 2)
    }
    for a, b in sorted(pairs):
        found, doubt = evidence(a, b, words), doubts.get(frozenset({a, b}))
        if found is not None and doubt is not None:
            yield a, b, Evidence(f"{found.text}; but {doubt}", found.score, strong=False)
        elif found is not None and not found.strong:
            yield a, b, found


def head_of(key: Key) -> Key | None:
    """The head noun of a compound that means a kind of it: "metal bench" -> bench."""
    surface, part = key
    head = wordnet.head_noun(surface) if part == "noun" else None
    return (head, "noun") if head is not None else None
