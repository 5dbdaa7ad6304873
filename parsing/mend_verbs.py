"""Mends verbs that hide in names: between two nouns, or after those who do it."""

from __future__ import annotations

from parsing import wordnet
from parsing.mend_tree import (
    NOMINAL,
    after,
    base_of,
    before,
    living,
    looks_at,
    singular,
    verb_of,
)
from parsing.words import Word

_OFTEN = 0.2
_BEFORE = ("compound", "nmod", "amod")


@wordnet.remembered
def _fairly_a_verb(low: str) -> bool:
    """Whether it is a verb at least once in five times: "race", "hacks"; "room" is not."""
    verb = verb_of(low, itself=True)
    noun = max(wordnet.count(base, "n") for base in (low, wordnet.lemma(low, "n", inflected=True)))
    return verb is not None and wordnet.count(verb, "v") > _OFTEN * noun


def _agree(left: Word, word: Word) -> bool:
    """ "dogs race" and "dog races", not "dog race" or "dogs races"."""
    return singular(left) != singular(word) and left.tag in ("NN", "NNS")


@looks_at(pos=("NOUN",), tag=("NN", "NNS"), dep=_BEFORE, low=_fairly_a_verb)
def verb_between_nouns(word: Word, words: list[Word]) -> None:
    """ "trees line pathways", "a downpour drives somebody": no such kind of pathway."""
    left, thing = before(word, words), word.head
    if left is None or thing is None or left.pos not in NOMINAL or thing.i < word.i:
        return
    if left.head not in (word, thing) or left.dep not in _BEFORE or not _agree(left, word):
        return
    if thing.pos not in NOMINAL or any(wordnet.has(n, "n") for n in _names(left, word, thing)):
        return
    place, dep = thing.head, thing.dep
    if dep != "ROOT" or (singular(thing) and not living(thing) and not _has_own(thing, word)):
        return
    word.moved(None, dep)
    for child in [c for c in thing.children if c.i < left.i]:
        child.moved(left, child.dep)
    left.moved(word, "nsubj")
    thing.moved(word, "dobj")
    word.moved(place, dep)
    word.pos, word.tag = "VERB", "VBP" if left.tag == "NNS" else "VBZ"


def _has_own(thing: Word, word: Word) -> bool:
    return any(c.i > word.i and c.i < thing.i for c in thing.children)


def _names(left: Word, word: Word, thing: Word) -> tuple[str, str]:
    return f"{left.low} {base_of(word)}", f"{word.low} {base_of(thing)}"


@looks_at(pos=("NOUN",), tag=("NN",), dep=("ROOT",), low=_fairly_a_verb)
def verb_after_its_doers(word: Word, words: list[Word]) -> None:
    """ "three dogs race in the snow": more than one dog would have a dog race."""
    left, follows = before(word, words), after(word, words)
    if left is None or left.tag != "NNS" or left.head is not word or left.dep not in _BEFORE:
        return
    if follows is None or follows.pos not in ("ADP", "ADV", "PUNCT", "PART") or not living(left):
        return
    for child in [c for c in word.children if c.i < left.i and c.dep != "punct"]:
        child.moved(left, child.dep)
    left.moved(word, "nsubj")
    word.pos, word.tag = "VERB", "VBP"
