"""Mends participles: what somebody does beside his name, what was done to a thing before it."""

from __future__ import annotations

from parsing import wordnet
from parsing.mend_tree import NOMINAL, base_of, before, first_of, give_way, living, looks_at
from parsing.words import Word

_JOINING = {",", "and", "or"}
_WHERE = {"across", "against", "along", "at", "behind", "by", "in", "near", "on", "over", "under"}
_COUNTED = {"noun.artifact", "noun.location", "noun.object"}
_OF_NOUNS = ("det", "amod", "poss", "compound", "nummod")


@looks_at(tag=("VBG",), dep=("amod", "compound"))
def deed_before_a_bare_noun(word: Word, words: list[Word]) -> None:
    """ "man holding pole", "groom holding hands": he holds them; it is no holding pole."""
    doer, thing = before(word, words), word.head
    if doer is None or thing is None or doer.pos not in NOMINAL or not doer.under(thing):
        return
    if _known_with(doer, word) or not (_does(doer, word, thing) or _of_somebody(doer, thing)):
        return
    first = doer
    while first.head is not thing and first.head is not word and first.head is not None:
        first = first.head
    for child in [c for c in thing.children if c.i < doer.i and c is not first]:
        child.moved(first, child.dep)
    later = [c for c in thing.children if c.i > word.i and not _another_doer(c, first)]
    give_way(thing, first)
    for child in later:
        child.moved(thing, child.dep)
    thing.moved(word, "dobj")
    word.moved(doer, "acl")
    partner = next((c for c in doer.kids("nmod", "compound") if living(c)), None)
    if partner is not None and words[doer.i - 1].low == "and":  # "bride and groom"
        give_way(doer, partner)
        doer.moved(partner, "conj")


def _another_doer(child: Word, first: Word) -> bool:
    """ "a couple holding hands and another woman": she is no thing held."""
    return child.dep == "conj" and living(child) and _is_somebody(first)


def _known_with(noun: Word, word: Word) -> bool:
    """ "award-winning", "horse racing": the two are one."""
    return wordnet.has(f"{noun.low}-{word.low}", "a") or wordnet.has(f"{noun.low} {word.low}", "n")


def _does(doer: Word, word: Word, thing: Word) -> bool:
    """Whether somebody is named, and no kind of thing: "horse riding school"."""
    return _is_somebody(doer) and not wordnet.has(f"{word.low} {base_of(thing)}", "n")


def _is_somebody(noun: Word) -> bool:
    return living(noun) or wordnet.is_social(base_of(noun))


def _of_somebody(noun: Word, thing: Word) -> bool:
    """ "father on the beach feeding gulls": somebody is there who does it, or wears the thing."""
    who: Word | None = first_of(thing)
    for _ in range(3):
        if who is None or who.dep != "pobj" or who.head is None:
            break
        who = who.head.head
    if who is None or who is thing or not (living(who) or who.pos == "VERB"):
        return False
    base = base_of(noun)
    own = any(c.dep in ("amod", "poss") and c.i < noun.i for c in (*noun.children, *thing.children))
    of_body = own and wordnet.supersense(base, "n") == "noun.body"  # but "an eye catching dress"
    return of_body or wordnet.is_worn(base) or _is_place(noun)


@looks_at(tag=("VBG",), dep=("pobj", "dobj"))
def deed_beside_a_thing(word: Word, words: list[Word]) -> None:
    """ "dressed in an outfit dancing": nobody is dressed in the dancing."""
    thing = before(word, words)
    if thing is None or thing.pos not in NOMINAL or word.kids(*_OF_NOUNS):
        return
    if thing.head is word.head and thing.dep == word.dep:
        word.moved(thing, "acl")


@looks_at(tag=("VBG",), dep=("pcomp", "pobj", "dobj"))
def deed_of_who_is_there(word: Word, words: list[Word]) -> None:
    """ "is on a board going down", "with backpacks walking": a board that somebody is on."""
    thing, over = next(iter(word.kids("nsubj")), None), word.head
    if thing is None or over is None or thing.i > word.i or thing.pos not in NOMINAL:
        return
    somewhere = over.pos == "ADP" and over.low in _WHERE
    if living(thing) or not (somewhere or wordnet.is_worn(base_of(thing))):
        return
    if any(c.dep == "poss" and c.i < thing.i for c in (*word.children, *thing.children)):
        return  # "with his shirt flying"
    for child in [c for c in word.children if c.i < thing.i]:
        child.moved(thing, child.dep)
    thing.moved(over, "dobj" if over.pos == "VERB" else "pobj")
    word.moved(thing, "acl")


@looks_at(tag=("VBG",))
def deed_over_its_doer(word: Word, words: list[Word]) -> None:
    """ "a brown, black and white dog barking": the article is the dog's, and so is the place."""
    doer = before(word, words)
    if doer is None or doer.pos not in NOMINAL or doer.dep not in ("conj", "compound", "nmod"):
        return
    own = [c for c in word.children if c.i < doer.i and c is not doer and c.dep != "punct"]
    if not doer.under(word) or not any(c.dep in ("det", "amod") for c in own):
        return
    place, dep = word.head, word.dep
    doer.moved(None, dep)
    for child in own:
        child.moved(doer, child.dep)
    word.moved(doer, "acl")
    doer.moved(place, dep)


@looks_at(tag=("VBN", "VBD"), dep=("conj", "ccomp", "xcomp", "dep"))
def state_before_a_bare_noun(word: Word, words: list[Word]) -> None:
    """ "bacon and toasted bread", "wearing ripped jeans": nobody toasts or rips anything there."""
    thing, left = next(iter(word.kids("dobj")), None), before(word, words)
    if thing is None or left is None or thing.pos not in NOMINAL or thing.i < word.i:
        return
    if word.kids("nsubj", "nsubjpass", "aux", "auxpass", "prt", "advmod"):
        return
    first = min([thing.i, *(c.i for c in thing.children)])
    if first != word.i + 1 or thing.kids("det", "poss", "nummod") or living(thing):
        return
    partner = words[word.i - 2] if word.i > 1 and left.low in _JOINING else None
    if partner is not None and partner.low == "," and word.i > 2:  # "bacon, and toasted bread"
        partner = words[word.i - 3]
    over = word.head
    if partner is None and left.pos == "VERB" and not left.kids("dobj") and over is left:
        give_way(word, thing)
        thing.dep = "dobj"
    elif partner is not None and partner.pos in NOMINAL and _other_tense(over):
        give_way(word, thing)
        thing.moved(partner, "conj")
    else:
        return
    word.moved(thing, "amod")
    word.tag = "VBN"


@looks_at(tag=("VBN", "VBD"), dep=("ROOT", "conj", "advcl", "acl"))
def lined_with_it(word: Word, words: list[Word]) -> None:
    """ "down a tree lined path": who lines something lines a path or paths, not path."""
    thing, left = next(iter(word.kids("dobj")), None), before(word, words)
    if thing is None or left is None or thing.tag != "NN" or left.tag != "NN" or living(left):
        return
    if left.dep not in ("pobj", "dobj") or not left.kids("det") or left.head is None:
        return
    verb = wordnet.lemma(word.low, "v", inflected=True)
    bare = min([thing.i, *(c.i for c in thing.children)]) == word.i + 1
    counted = wordnet.supersense(base_of(thing), "n") in _COUNTED or _is_place(thing)
    counted = counted and not thing.kids("det", "poss")
    if not (bare and counted and wordnet.needs_object(verb, 2)) or word.kids("aux", "auxpass"):
        return
    place, dep = left.head, left.dep
    for subject in word.kids("nsubj")[:1]:  # "shops in a glass covered centre"
        give_way(word, subject)
    thing.moved(place, dep)
    for child in [c for c in left.children if c.i < left.i]:
        child.moved(thing, child.dep)
    word.moved(thing, "amod")
    left.moved(word, "npadvmod")
    word.tag = "VBN"


@looks_at(tag=("VBG",), dep=("amod", "compound"))
def deed_after_a_comma(word: Word, words: list[Word]) -> None:
    """ "a girl in a harness, climbing rocks": she does."""
    thing, left = word.head, before(word, words)
    if thing is None or thing.dep != "appos" or thing.head is None or left is None:
        return
    doer = thing.head
    alone = [c for c in thing.children if c.i < thing.i] == [word]
    if left.low == "," and alone and _is_somebody(doer) and not living(thing):
        word.moved(doer, "acl")
        thing.moved(word, "dobj")


@looks_at(tag=("VBN", "VBD"), dep=("advcl", "ccomp"))
def done_to_the_nearest(word: Word, words: list[Word]) -> None:
    """ "attend a wedding held", "toys in a room painted blue": nobody was held there."""
    thing = before(word, words)
    if thing is None or thing.pos not in NOMINAL or thing.dep not in ("pobj", "dobj"):
        return
    said = word.kids("nsubj", "nsubjpass", "mark", "aux", "auxpass", "dobj", "advmod", "cc")
    verb = wordnet.lemma(word.low, "v", inflected=True)
    if not said and not word.under(thing) and wordnet.needs_object(verb, 2):
        word.moved(thing, "acl")
        word.tag = "VBN"


def _other_tense(over: Word | None) -> bool:
    """Whether a past form beside it is no second verb: beside a noun, or "eats"."""
    return over is not None and (over.pos in NOMINAL or over.tag in ("VBZ", "VBP", "VBG", "VB"))


def _is_place(noun: Word) -> bool:
    return wordnet.noun_kind(base_of(noun)) == "scene"
