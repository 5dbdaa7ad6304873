"""Noun phrases of a caption: which words name a thing, and what a noun stands for."""

from __future__ import annotations

from dataclasses import dataclass, field

from parsing import describing, lexicon, wordnet
from parsing.mend_tree import first_of, living
from parsing.naming import NATURAL, Phrase, is_common, noun_lemma, of_what, phrase_of, says_when
from parsing.picturable import is_idea
from parsing.words import Word

_NOMINAL = {"NOUN", "PROPN"}
_NOBODY = {"nobody", "none", "nothing"}
_COLOURING = {"dress", "dye", "paint", "sport", "wear"}
_LACKING = {"devoid", "empty", "free"}
_COVERING = {"noun.communication", "noun.object", "noun.phenomenon", "noun.plant", "noun.substance"}
_DONE_WITH = {"verb.change", "verb.contact"}


@dataclass(slots=True)
class Nouns:
    """All phrases of a caption and how other words find them."""

    phrases: dict[int, Phrase]
    negated: set[int]
    owners: dict[int, Phrase] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Know for each word of a name whose it is: "a red [alarm] clock"."""
        self.owners = {w.i: p for p in self.phrases.values() for w in p.words}

    def meant(self, word: Word | None) -> Phrase | None:
        """The thing a noun stands for: itself, or what follows the "of" of "a group of"."""
        for _ in range(6):  # "a photo of a group of a lot of people" is deep enough
            if word is None or word.i in self.negated:
                return None
            if word.i in self.phrases:
                return self.phrases[word.i]
            word = of_what(word) or self._shown(word)
        return None

    def _shown(self, word: Word) -> Word | None:
        """ "a beach photo" shows the beach, "actor Brad Pitt" is an actor."""
        phrase = self.phrases.get(word.i - 1)
        if phrase is not None and phrase.head.head is word:
            return phrase.head
        named = word.kids("compound") if word.pos == "PROPN" else []
        return next((c for c in named if c.i in self.phrases and c.i < word.i), None)

    def all_meant(self, word: Word | None) -> list[Phrase]:
        """The thing and those coordinated with it, no more than eight."""
        if word is None:
            return []
        found = [self.meant(one) for one in word.conjuncts()]
        return [phrase for phrase in found if phrase is not None][:8]


def find_nouns(words: list[Word]) -> Nouns:
    """Read the phrases from right to left, so that a name swallows the words before its head."""
    negated = _negated(words)
    phrases: dict[int, Phrase] = {}
    taken: set[int] = set()
    for word in reversed(words):
        if word.pos not in _NOMINAL or word.i in taken or not _names_something(word):
            continue
        phrase = phrase_of(word, words)
        taken.update(w.i for w in phrase.words)
        if word.i not in negated and _is_tag(phrase):
            phrases[word.i] = phrase
    return Nouns(dict(sorted(phrases.items())), negated)


def names_colour(word: Word) -> bool:
    """ "a man in red" says how he looks; "an orange", "oranges" are things."""
    if not wordnet.is_colour(word.low) or word.tag not in ("NN", "JJ", "NNP") or word.kids("det"):
        return False
    first = first_of(word)
    over = first.head.low if first.head is not None else ""
    thing = wordnet.supersense(word.low, "n") in NATURAL  # first of all, as salmon and lavender
    # "cooks salmon", "a bed of lavender": only who wears it, or is in it, has its colour
    eaten = first.dep == "pobj" and over != "in"
    eaten |= first.dep == "dobj" and wordnet.lemma(over, "v", inflected=True) not in _COLOURING
    return not (thing and eaten)


def _negated(words: list[Word]) -> set[int]:
    """Nouns the caption says are not there: "no people", "without a hat or a coat"."""
    found: set[int] = set()
    for word in words:
        starts: list[Word] = []
        if word.low in ("no", "neither") and word.dep in ("det", "neg", "preconj") and word.head:
            starts = [word.head]
        elif thing := what_lacks(word):  # "a road free of snow"
            starts = [thing]
        elif word.low in ("without", "minus", "lacking"):
            starts = word.kids("pobj", "dobj", "pcomp")
        elif word.pos in ("VERB", "AUX") and is_denied(word):
            starts = word.kids("dobj", "attr")
        for start in starts:
            for noun in start.conjuncts():
                inner = of_what(noun)
                found.update(n.i for n in (noun, inner) if n is not None)
    return found


def is_denied(verb: Word) -> bool:
    """Whether a verb says what is not: "is not wearing", "nobody is sitting", "no one stands"."""
    return bool(verb.kids("neg")) or any(
        c.low in _NOBODY or (c.low == "one" and any(d.low == "no" for d in c.children))
        for c in verb.kids("nsubj", "nsubjpass")
    )


def what_lacks(word: Word) -> Word | None:
    """ "free of snow", "devoid of people": the quality is that the thing is not there."""
    return of_what(word) if word.low in _LACKING and word.pos == "ADJ" else None


def _names_something(word: Word) -> bool:
    if not has_letter(word.low):
        return False
    if word.pos == "PROPN" and not is_common(word):
        return False
    if word.dep == "amod" and describing.is_material(word.low):
        return False
    if not wordnet.has(noun_lemma(word), "n") and wordnet.has(word.low, "r"):
        return False  # "onstage", "indoors"
    if word.low == "mine" and not word.children:
        return False  # "a friend of mine"
    if word.dep == "npadvmod" and word.head and word.head.tag == "VBN":
        return _is_seen_on(word, word.head)
    if word.dep not in ("compound", "nmod") or not word.head or not _inside_name(word, word.head):
        return True
    if says_when(word.low) or _is_role(word, word.head):
        return True  # not taken for part of a name
    # "a beach photo" shows a beach
    return noun_lemma(word.head) in lexicon.noise("n") and not wordnet.has(
        f"{word.low} {word.head.low}", "n"
    )


def _is_role(word: Word, named: Word) -> bool:
    """ "singer Adele": who has the name is a singer."""
    plain = word.pos != "PROPN" or is_common(word)
    called = named.pos == "PROPN" and named.text[0].isupper() and not is_common(named)
    return called and plain and living(word)


def _is_seen_on(word: Word, done: Word) -> bool:
    """ "a snow covered hill" shows snow, "a hand drawn heart" no hand."""
    if done.dep != "amod" or done.i != word.i + 1 or living(word) or word.children:
        return True
    covering = wordnet.supersense(wordnet.lemma(done.low, "v", inflected=True), "v") in _DONE_WITH
    return covering and wordnet.supersense(word.low, "n") in _COVERING


def _inside_name(word: Word, head: Word) -> bool:
    """A modifier noun belongs to the name of its head if that comes right after it."""
    between = [w for w in head.children if word.i < w.i < head.i]
    return word.i < head.i and word.i + len(between) + 1 >= head.i and head.pos in _NOMINAL


def _is_tag(phrase: Phrase) -> bool:
    """Noise words, mere quantities and names of individuals give no tag."""
    head = phrase.head
    if _is_no_thing(phrase.name):
        return False
    if len(phrase.words) > 1:
        if phrase.name in lexicon.noise("n"):
            return False
        if noun_lemma(head) in lexicon.quantities() and of_what(head) is not None:
            return False  # "a rusting piece of metal"
        return not all(noun_lemma(w) in lexicon.noise("n") for w in phrase.words)
    if names_colour(head):
        return False
    base = noun_lemma(head)
    if _is_time(head.low):
        return False
    if not _is_quantity(base, head.low):
        return not _is_noise(base, head.low)
    inner = of_what(head)
    if inner is None and _looks_like_a_thing(head):
        return True
    if not {base, head.low} & lexicon.stand_alone():
        return False
    if inner is None:
        return True  # "on the set", but "a set of icons" is icons
    return not _is_noise(base, head.low) and _works_for(base, noun_lemma(inner))


@wordnet.remembered
def has_letter(low: str) -> bool:
    """Whether there is a letter in a word; "1960s" is a number."""
    return any(c.isalpha() for c in low) and not (low[:1].isdigit() and low.endswith("0s"))


@wordnet.remembered
def _is_no_thing(name: str) -> bool:
    return len(name) < 2 or wordnet.is_name(name) or is_idea(name)


@wordnet.remembered
def _is_time(low: str) -> bool:
    """ "today": an adverb, too."""
    return wordnet.has(low, "r") and wordnet.supersense(low, "n") == "noun.time"


@wordnet.remembered
def _is_quantity(base: str, low: str) -> bool:
    return bool({base, low} & lexicon.quantities())


@wordnet.remembered
def _is_noise(base: str, low: str) -> bool:
    unit = wordnet.is_unit(base) and wordnet.noun_kind(base) != "scene"
    return unit or bool({base, low} & lexicon.noise("n"))


def _works_for(group: str, whole: str) -> bool:
    """ "the crew of a ship" is people; "a couple of people" only counts them."""
    return wordnet.is_social(group) and not wordnet.is_living(whole)


def _looks_like_a_thing(head: Word) -> bool:
    """ "in a white top" is worn, "on his back" is a part of him."""
    coloured = any(wordnet.is_colour(c.low) for c in head.kids("amod"))
    return coloured or (head.low == "back" and bool(head.kids("poss")))
