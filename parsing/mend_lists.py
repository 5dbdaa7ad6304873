"""Mends lists: which nouns are named beside which, and what is said of all of them."""

from __future__ import annotations

from parsing import wordnet
from parsing.mend_tree import NOMINAL, living, looks_at
from parsing.words import Word

_JOINING = {",", "and"}


@looks_at(dep=("nmod", "compound"))
def partner_read_as_modifier(word: Word, words: list[Word]) -> None:
    """ "actor and film director": two people, not a director of two kinds."""
    last = word.head
    if last is None or last.pos not in NOMINAL:
        return
    inner = next(iter(word.kids("conj")), None)
    if inner is None or inner.pos not in NOMINAL:
        return
    if any(w.head is not last for w in words[inner.i + 1 : last.i]):
        return
    # "a shirt and bikini bottoms": no bottoms have "a" before them
    own = last.tag == "NNS" and any(c.low in ("a", "an") for c in last.kids("det"))
    people = living(word) and (living(last) or (_person(word) and not living(inner)))
    if not own and not people:
        return
    place, dep = last.head, last.dep
    word.moved(None, dep)
    for child in [c for c in last.children if c.i < word.i]:
        child.moved(word, child.dep)
    inner.moved(last, "compound")
    last.moved(word, "conj")
    word.moved(place, dep)
    for child in [c for c in last.children if c.i > last.i and c.dep == "punct"]:
        child.moved(word, child.dep)


@looks_at(pos=NOMINAL, dep=("nsubj", "conj"))
def coordinated_with_a_verb(word: Word, words: list[Word]) -> None:
    """ "biking in gloves and a hat": two things, not an activity and a thing.

    Also "wearing a shirt and pants is climbing", where the second thing became a second subject.
    """
    verb = word.head
    if verb is None or verb.pos != "VERB" or word.kids("nsubj", "cop"):
        return
    second = word.dep == "nsubj" and any(c.i < word.i for c in verb.kids("nsubj"))
    if not second and not (word.dep == "conj" and word.tag not in ("NNP", "NNPS")):
        return
    first = _start(word)
    if first < 2 or words[first - 1].low not in ("and", "or"):
        return
    partner = words[first - 2]
    if partner.pos in NOMINAL and partner.dep in ("dobj", "pobj", "conj"):
        word.moved(partner, "conj")


@looks_at(dep=("conj", "appos"))
def coordinated_with_the_wearer(word: Word, words: list[Word]) -> None:
    """ "a woman in a coat, gloves and boots": she is in all, not she and the boots."""
    who = word.head
    if who is None or who.pos not in NOMINAL:
        return
    first = _start(word)
    if first < 2 or words[first - 1].low not in _JOINING or living(word) or not living(who):
        return
    partner = words[first - 2]
    if partner.low == "," and first > 2:  # "a coat, and boots"
        partner = words[first - 3]
    if partner.pos in NOMINAL and partner.dep in ("dobj", "pobj") and not living(partner):
        clothed = partner.head is not None and partner.head.low == "in" and _worn(word)
        alike = _worn(partner) == _worn(word) or clothed  # a "top" is not always worn
        apart = alike or partner.dep == "dobj" or who.dep == "nsubj"
        if apart and partner.under(who):
            word.moved(partner, "conj")


@looks_at(pos=NOMINAL, dep=("dobj",))
def listed_with_another(word: Word, words: list[Word]) -> None:
    """ "wearing a dress, a coat and a hat": three of a kind, not two lists."""
    others = word.head.kids("dobj") if word.head is not None else []
    first = _start(word)
    if len(others) > 1 and others[0] is not word and first and words[first - 1].low in _JOINING:
        word.moved(others[0], "conj")


@looks_at(pos=NOMINAL, dep=("appos", "nsubj"))
def listed_after_a_comma(word: Word, words: list[Word]) -> None:
    """ "a cat, a dog and a bird sit": three, not a cat that is a dog and a bird."""
    over, first = word.head, _start(word)
    if over is None or first < 2 or words[first - 1].low != ",":
        return
    # "a man beside a girl, a dog and a cat": they are beside him as she is, and not who he is
    partner: Word | None = words[first - 2]
    if word.dep == "nsubj":  # a second subject
        subjects = over.kids("nsubj")
        partner = subjects[0] if word is subjects[-1] else None
    if partner is None or partner.pos not in NOMINAL or not _alike(partner, word):
        return
    goes_on = any(c.pos in NOMINAL for c in word.kids("conj"))
    if (goes_on or word.dep == "nsubj") and partner.i < first and not partner.under(word):
        word.moved(partner, "conj")


def _alike(first: Word, second: Word) -> bool:
    """Both with "a", or both plurals: "person, a singer and actor" is one."""
    articles = [{c.low for c in noun.kids("det")} & {"a", "an"} for noun in (first, second)]
    plural = first.tag == second.tag == "NNS" and not living(first)
    return plural or all(articles) or not (living(first) or living(second) or any(articles))


def _person(noun: Word) -> bool:
    """ "celebrity and company founder", but "animal and plant life"."""
    found = wordnet.senses(wordnet.lemma(noun.low, "n", inflected=True), "n")[:1]
    return any("person.n.01" in wordnet.above(sense) for sense in found)


def _start(word: Word) -> int:
    """Where the word's own phrase begins."""
    return min([word.i, *(c.i for c in word.children if c.dep not in ("punct", "cc"))])


def _worn(noun: Word) -> bool:
    plural = noun.tag in ("NNS", "NNPS")
    return wordnet.is_worn(wordnet.lemma(noun.low, "n", inflected=plural))
