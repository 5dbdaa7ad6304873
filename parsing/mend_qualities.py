"""Mends qualities that are tagged as verbs, nouns or adverbs, or hang on the wrong word."""

from __future__ import annotations

from parsing import wordnet
from parsing.mend_tree import NOMINAL, after, base_of, before, give_way, living, looks_at, quality
from parsing.words import Word

_PARTICIPLES = 6  # about as often a verb is used in other forms as in this one
_FINITE = {"is", "are", "was", "were", "be", "'s", "'re"}  # "gets closed" is no state
_BESIDE_A_STATE = {"nsubjpass", "nsubj", "auxpass", "punct", "cc", "conj", "mark", "neg"}


@wordnet.remembered
def _no_adverb(low: str) -> bool:
    return wordnet.has(low, "a") and not wordnet.has(low, "r")


@wordnet.remembered
def _is_a_past(low: str) -> bool:
    """ "covered", "shaped", "strewn"."""
    return low.isalpha() and low.endswith(("ed", "wn", "en")) and not wordnet.count(low, "n")


@wordnet.remembered
def _is_a_state(low: str) -> bool:
    """ "striped" is of stripes, "closed" often an adjective, "removed" something that is done."""
    if not wordnet.has(low, "a"):
        return False
    verb = wordnet.lemma(low, "v", inflected=True)
    of_a_noun = wordnet.has(verb, "n") and wordnet.count(verb, "n") >= wordnet.count(verb, "v")
    return of_a_noun or _PARTICIPLES * wordnet.count(low, "a") >= wordnet.count(verb, "v")


@looks_at(low=quality)
def only_an_adjective(word: Word, words: list[Word]) -> None:
    """ "spooky food", "appear to be unexcited": no dictionary has such a verb."""
    never = word.tag == "VB" and not wordnet.has(wordnet.lemma(word.low, "v"), "v")
    if not (never or _is_adjective_only(word.low)) or not word.text.isalpha():
        return
    follows, be = after(word, words), word.kids("auxpass")
    if be:
        _said_with_be(word, be[-1])
    elif follows is not None and (thing := _thing_from(follows, word)):
        give_way(word, thing)
        word.moved(thing, "amod")
        for child in thing.kids("advcl"):  # "retro clock hanging on a wall"
            child.dep = "acl"
    word.pos, word.tag = "ADJ", "JJ"


def _thing_from(follows: Word, word: Word) -> Word | None:
    """The object whose phrase begins there."""
    thing = follows.head if follows.dep in ("amod", "compound") else follows
    return thing if thing is not None and thing.dep == "dobj" and thing.head is word else None


@wordnet.remembered
def _is_adjective_only(low: str) -> bool:
    bases = ((wordnet.lemma(low, pos), pos) for pos in "nvr")
    return not any(wordnet.has(base, pos) for base, pos in bases)


def _said_with_be(word: Word, be: Word) -> None:
    for subject in word.kids("nsubjpass"):
        subject.dep = "nsubj"
    give_way(word, be)
    word.moved(be, "acomp")


@looks_at(tag=("VBN", "VBD"), low=_is_a_state)
def state_read_as_passive(word: Word, words: list[Word]) -> None:
    """ "the shirt is striped", "the door is closed": nobody does it, nowhere and to no end."""
    be = word.head if word.dep == "acomp" else next(iter(word.kids("auxpass")), None)
    if be is None or be.low not in _FINITE or not word.text.isalpha():
        return
    others = [c for c in word.children if c.dep not in _BESIDE_A_STATE]
    if any(c.dep != "advmod" or c.i > word.i for c in others):  # "parked next to", "neatly folded"
        return
    if word.dep != "acomp":
        _said_with_be(word, be)
    word.pos, word.tag = "ADJ", "JJ"


@looks_at(tag=("VBN", "VBD"), dep=("conj",))
def quality_among_adjectives(word: Word, words: list[Word]) -> None:
    """ "a black and white spotted dog": spotted as it is black, not a thing that was done."""
    first, follows = word.head, after(word, words)
    if first is None:
        return
    if first.pos == "ADJ" and first.dep == "amod" and follows is not None and not word.children:
        thing = first.head
        if thing is not None and follows in (thing, *thing.kids("compound")):
            word.moved(thing, "amod")
            word.tag = "VBN"


@looks_at(tag=("VB", "VBP", "VBD"), dep=("amod",), low=quality)
def quality_read_as_order(word: Word, words: list[Word]) -> None:
    """ "Wet brown dog": nothing that hangs on a noun like an adjective is an order."""
    if word.head is not None and word.i < word.head.i:
        word.pos, word.tag = "ADJ", "JJ"


@looks_at(dep=("conj",), low=quality)
def quality_after_and(word: Word, words: list[Word]) -> None:
    """ "a tree and cute birds": an adjective before a noun is that noun's."""
    follows, first = after(word, words), word.head
    if first is None or first.pos not in NOMINAL or follows is None:
        return
    partner = follows.pos in NOMINAL and follows.dep == "conj"
    if partner and words[word.i - 1].low in ("and", "or"):
        word.moved(follows, "amod")


@looks_at(dep=("advmod",), low=_no_adverb)
def quality_read_as_adverb(word: Word, words: list[Word]) -> None:
    """ "a handsome confident man": no dictionary has such an adverb."""
    other = word.head
    if other is None or other.dep != "amod" or other.pos != "ADJ":
        return
    if word.i + 1 == other.i:
        word.moved(other.head, "amod")
        word.pos, word.tag = "ADJ", "JJ"


@looks_at(dep=("amod",), low=_is_a_past)
def covered_with_it(word: Word, words: list[Word]) -> None:
    """ "a graffiti covered wall", "heart shaped balloons": covered with that, shaped as that."""
    left, thing = before(word, words), word.head
    if left is None or thing is None or left.pos not in NOMINAL or thing.i != word.i + 1:
        return
    beside = left.head is thing and left.dep in ("nmod", "compound")
    if left.tag not in ("NN", "NNP") or living(left) or wordnet.is_colour(left.low):
        return
    for child in left.kids("amod", "det"):  # "colored hand drawn symbols"
        if child.dep == "det" or left.dep == "npadvmod":
            child.moved(thing, child.dep)
    if left.children:
        return
    if beside and not wordnet.has(f"{word.low} {base_of(thing)}", "n"):
        left.moved(word, "npadvmod")
    if left.head is word and left.dep == "npadvmod":
        word.pos, word.tag, left.pos, left.tag = "VERB", "VBN", "NOUN", "NN"
