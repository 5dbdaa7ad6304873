"""What the mending rules ask of words, and how they move them in the tree."""

from __future__ import annotations

from parsing import wordnet
from parsing.words import Word

NOMINAL = {"NOUN", "PROPN"}


def singular(word: Word) -> bool:
    return word.pos in NOMINAL and word.tag in ("NN", "NNP")


def more_verb(word: Word) -> bool:
    """Whether this form is a verb more often than a noun: "runs" is, "toys" is not."""
    as_verb = wordnet.count(wordnet.lemma(word.low, "v"), "v")
    nouns = {word.low, wordnet.lemma(word.low, "n", inflected=True)}  # "pants" is no pant
    return as_verb > max(wordnet.count(noun, "n") for noun in nouns)


def living(word: Word) -> bool:
    """A person or an animal."""
    return wordnet.is_living(wordnet.lemma(word.low, "n", inflected=True))


def first_of(word: Word) -> Word:
    """The first of what is coordinated."""
    while word.dep == "conj" and word.head is not None:
        word = word.head
    return word


def take_over(verb: Word, subject: Word) -> None:
    """The verb takes its subject's place in the tree, and what follows it."""
    place, dep = subject.head, subject.dep
    verb.moved(None, dep)
    for child in [c for c in subject.children if c.i > verb.i]:
        child.moved(verb, child.dep)
    subject.moved(verb, "nsubj")
    verb.moved(place, dep)
    for child in verb.kids("appos"):  # "in blue kicks the ball"
        if child.pos in NOMINAL and min([child.i, *(c.i for c in child.children)]) == verb.i + 1:
            child.dep = "dobj"


def give_way(word: Word, other: Word) -> None:
    """The other takes this word's place in the tree, and all that hangs on it."""
    place, dep = word.head, word.dep
    other.moved(None, dep)
    for child in list(word.children):
        child.moved(other, child.dep)
    other.moved(place, dep)


def before(word: Word, words: list[Word]) -> Word | None:
    """The word to the left."""
    return words[word.i - 1] if word.i else None


def after(word: Word, words: list[Word]) -> Word | None:
    """The word to the right."""
    return words[word.i + 1] if word.i + 1 < len(words) else None


def infinitive(word: Word, itself: bool = False) -> str | None:
    """The verb that this word may be an inflected form of, whatever its tag; or is `itself`."""
    base = wordnet.lemma(word.low, "v", inflected=True)
    return base if (itself or base != word.low) and wordnet.has(base, "v") else None


def share_verb(verb: Word, subject: Word, words: list[Word]) -> None:
    """ "bride and groom walk": both do, where the verb was coordinated with the first."""
    first = verb.head
    if verb.dep != "conj" or first is None or first.pos not in NOMINAL:
        return
    if words[min([subject.i, *(c.i for c in subject.children)]) - 1].low == "and":
        take_over(verb, first)
        subject.moved(first, "conj")
