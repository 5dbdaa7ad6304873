"""What the mending rules ask of words, and how they move them in the tree."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from parsing import wordnet
from parsing.words import Word

NOMINAL = {"NOUN", "PROPN"}


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Mends words of certain kinds in place; where a kind is empty or None, whatever they are.

    Kinds are told apart without a call, so that a word meets few of the rules.
    """

    mend: Callable[[Word, list[Word]], None]
    pos: Collection[str]
    dep: Collection[str]
    tag: Collection[str]
    of_word: Callable[[str], bool] | None
    """Of the word in lower case."""

    def tagged_so(self, pos: str, dep: str, tag: str) -> bool:
        """Whether it looks at words with such tags."""
        asked = ((self.pos, pos), (self.dep, dep), (self.tag, tag))
        return all(not wanted or it in wanted for wanted, it in asked)

    def __call__(self, word: Word, words: list[Word]) -> None:
        """Mend a word, if the rule looks at such."""
        of_such = self.of_word is None or self.of_word(word.low)
        if of_such and self.tagged_so(word.pos, word.dep, word.tag):
            self.mend(word, words)


def looks_at(
    *, pos: Collection[str] = (), dep: Collection[str] = (), tag: Collection[str] = (),
    low: Collection[str] | Callable[[str], bool] | None = None,
) -> Callable[[Callable[[Word, list[Word]], None]], Rule]:  # fmt: skip
    """Make a function a rule for such words; `low` are words in lower case, or a test of them."""
    of_word = low if low is None or callable(low) else frozenset(low).__contains__
    return lambda mend: Rule(mend, pos, dep, tag, of_word)


def base_of(noun: Word) -> str:
    """The base form of a noun by its tag."""
    return wordnet.lemma(noun.low, "n", inflected=noun.tag in ("NNS", "NNPS"))


def singular(word: Word) -> bool:
    return word.pos in NOMINAL and word.tag in ("NN", "NNP")


def more_verb(word: Word) -> bool:
    """Whether this form is a verb more often than a noun: "runs" is, "toys" is not."""
    return more_a_verb(word.low)


@wordnet.remembered
def more_a_verb(low: str) -> bool:
    """Of a word in lower case."""
    as_verb = wordnet.count(wordnet.lemma(low, "v"), "v")
    nouns = {low, wordnet.lemma(low, "n", inflected=True)}  # "pants" is no pant
    return as_verb > max(wordnet.count(noun, "n") for noun in nouns)


def living(word: Word) -> bool:
    """A person or an animal."""
    return is_living(word.low)


@wordnet.remembered
def is_living(low: str) -> bool:
    """Whether a word in lower case is one."""
    return wordnet.is_living(wordnet.lemma(low, "n", inflected=True))


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
    return verb_of(word.low, itself)


def verb_of(low: str, itself: bool = False) -> str | None:
    """The verb that a word may be an inflected form of; or is `itself`."""
    base = wordnet.lemma(low, "v", inflected=True)
    return base if (itself or base != low) and wordnet.has(base, "v") else None


@wordnet.remembered
def participle(low: str) -> bool:
    """Whether a word may be one in -ing."""
    return low.endswith("ing") and verb_of(low) is not None


@wordnet.remembered
def verb_itself(low: str) -> bool:
    """Whether a word may be a form of a verb, or the verb itself."""
    return wordnet.has(wordnet.lemma(low, "v"), "v")


def quality(low: str) -> bool:
    """Whether a word may be an adjective."""
    return wordnet.has(low, "a")


def share_verb(verb: Word, subject: Word, words: list[Word]) -> None:
    """ "bride and groom walk": both do, where the verb was coordinated with the first."""
    first = verb.head
    if verb.dep != "conj" or first is None or first.pos not in NOMINAL:
        return
    if words[min([subject.i, *(c.i for c in subject.children)]) - 1].low == "and":
        take_over(verb, first)
        subject.moved(first, "conj")
