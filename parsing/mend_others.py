"""Mends words that are tagged as verbs, adjectives, adverbs or exclamations."""

from __future__ import annotations

from parsing import describing, lexicon, wordnet
from parsing.mend_tree import (
    NOMINAL,
    after,
    base_of,
    before,
    give_way,
    is_living,
    living,
    looks_at,
    more_a_verb,
    more_verb,
    quality,
    share_verb,
)
from parsing.words import Word

LINKING = {
    "appear", "become", "feel", "look", "remain", "seem", "smell", "sound", "stay", "taste", "turn",
}  # fmt: skip
"""Verbs that join a thing with its quality."""
_OF_NOUNS = {"det", "amod", "nummod", "poss", "compound", "nmod", "advmod", "predet"}


_NEAR = 8
_ORDERS = 4  # a verb that is so many times as frequent as the noun may be an order after all
_DOINGS = {"noun.act", "noun.cognition", "noun.event", "noun.process", "noun.state"}
_NATURAL = {"noun.object", "noun.phenomenon", "noun.plant", "noun.substance"}
_THERE = {"across", "against", "along", "behind", "in", "near", "on", "over", "through", "under"}
_MADE = {"noun.Tops", "noun.artifact", "noun.location"}  # "location" is of the first


@wordnet.remembered
def _tag_of_noun_only(low: str) -> str:
    if describing.is_new(low) or any(wordnet.has(wordnet.lemma(low, pos), pos) for pos in "var"):
        return ""
    base = wordnet.lemma(low, "n", inflected=True)
    return "" if not wordnet.has(base, "n") else "NN" if base == low else "NNS"


def _only_a_noun(low: str) -> bool:
    return bool(_tag_of_noun_only(low))


@wordnet.remembered
def _twice_a_noun(low: str) -> bool:
    return wordnet.count(low, "n") > 2 * wordnet.count(wordnet.lemma(low, "v"), "v")


def _may_be_a_noun(low: str) -> bool:
    return wordnet.has(low, "n")


def _verb(word: Word) -> str:
    return wordnet.lemma(word.low, "v", inflected=word.tag not in ("VB", "VBP"))


@looks_at(low=is_living)
def noun_read_as_exclamation(word: Word, words: list[Word]) -> None:
    """ "Boy in camouflage", as if someone cried "boy"; "kitten" as an adverb."""
    first = word.i == 0 or words[word.i - 1].tag in ("DT", "JJ", "CD")
    if word.pos != "ADV" or (first and not wordnet.has(word.low, "r")):
        word.pos, word.tag = "NOUN", "NN"
        before_verb = word.head is not None and word.head.pos == "VERB" and word.i < word.head.i
        if word.dep in ("advmod", "intj") and before_verb:
            word.dep = "nsubj"


@looks_at(pos=("ADJ", "VERB", "ADV", "INTJ"), low=_only_a_noun)
def only_a_noun(word: Word, words: list[Word]) -> None:
    """ "Geese, mice": tagged as anything, but no dictionary has it as anything else."""
    if word.text.isalpha():
        word.pos, word.tag = "NOUN", _tag_of_noun_only(word.low)
        before_verb = word.head is not None and word.head.pos == "VERB" and word.i < word.head.i
        if word.dep == "advmod" and before_verb:
            word.dep = "nsubj"


@looks_at(tag=("VBG",))
def name_read_as_participle(word: Word, words: list[Word]) -> None:
    """ "a table setting", "a skateboarding trick": a name, though its verb could be meant."""
    left, follows = before(word, words), after(word, words)
    if left is not None and left.pos in NOMINAL and wordnet.has(f"{left.low} {word.low}", "n"):
        if living(left) or word.kids("dobj", "prt", "aux"):
            return  # "a baby sitting"
        if word.dep != "conj" and word.head is not left:
            return
        if word.head is left:
            give_way(left, word)
        left.moved(word, "compound")
        word.pos, word.tag = "NOUN", "NN"
    elif follows is not None and word.dep == "amod" and word.head is follows:
        act = wordnet.supersense(wordnet.lemma(follows.low, "n", inflected=True), "n") == "noun.act"
        verb = wordnet.lemma(word.low, "v", inflected=True)
        usual = wordnet.count(word.low, "n") > wordnet.count(verb, "v")  # "wedding guests"
        if left is None or left.pos not in NOMINAL:  # not "a man holding pole"
            usual = usual or _made_for(word, follows, verb)
        if (act or usual) and wordnet.has(word.low, "n") and not wordnet.has(word.low, "a"):
            word.pos, word.tag, word.dep = "NOUN", "NN", "compound"
    elif follows is not None and word.i == 0 and word.kids("dobj")[:1] == [follows]:
        if not wordnet.has(f"{word.low} {base_of(follows)}", "n"):
            return
        give_way(word, follows)  # "reading room in a villa"
        word.moved(follows, "compound")
        word.pos, word.tag = "NOUN", "NN"


def _made_for(word: Word, thing: Word, verb: str) -> bool:
    """ "a filming location", "a cooling rack": what it is for, not what it does."""
    made = wordnet.supersense(base_of(thing), "n") in _MADE
    doing = wordnet.supersense(word.low, "n") in _DOINGS
    return made and doing and not wordnet.is_travel(verb)


@looks_at(tag=("VBG",), dep=("pcomp",))
def participle_after_of(word: Word, words: list[Word]) -> None:
    """ "portrait of smiling woman": of her, not of her being smiled; "against setting sun"."""
    prep = word.head
    if prep is None or prep.pos != "ADP" or prep.i + 1 != word.i:
        return
    thing = next(iter(word.kids("dobj")), None)
    if thing is None or thing.kids("det", "poss", "nummod"):
        return
    natural = wordnet.supersense(base_of(thing), "n") in _NATURAL
    there = prep.low in _THERE or (prep.low == "of" and natural)
    does = there and not living(thing) and not wordnet.needs_object(_verb(word), 2)
    does |= prep.low == "during"  # "during demanding work"
    if not does and not (prep.low == "of" and living(thing)):
        return
    if min([thing.i, *(c.i for c in thing.children)]) == word.i + 1:
        give_way(word, thing)
        word.moved(thing, "amod")
        thing.dep = "pobj"
        for child in thing.kids("xcomp", "conj"):
            child.dep = "acl" if child.pos == "VERB" else child.dep


@looks_at(pos=("VERB",), low=more_a_verb)
def verb_with_a_compound(word: Word, words: list[Word]) -> None:
    """ "A dog rolls on": the tag is right, but the dog hangs on it as part of a name."""
    left = before(word, words)
    if left is None or left.pos not in NOMINAL:
        return
    if left.head is not word or left.dep not in ("compound", "nmod") or word.kids("nsubj"):
        return
    if wordnet.has(f"{left.low} {word.low}", "n"):
        return  # "pajama pants", "teddy bear"
    for child in [c for c in word.children if c.i < left.i and c.dep in _OF_NOUNS]:
        child.moved(left, child.dep)
    left.moved(word, "nsubj")
    share_verb(word, left, words)


@looks_at(pos=("VERB",), tag=("VB", "VBP"), low=_may_be_a_noun)
def name_read_as_verb(word: Word, words: list[Word]) -> None:
    """ "wallets, tote bags and backpacks": no wallet totes a bag."""
    follows, doers = after(word, words), word.kids("nsubj")
    if follows is None or word.kids("aux") or word.kids("dobj")[:1] != [follows]:
        return
    if any(living(c) for c in doers) or not wordnet.has(f"{word.low} {base_of(follows)}", "n"):
        return
    give_way(word, (doers or [follows])[0])
    word.moved(follows, "compound")
    word.pos, word.tag = "NOUN", "NN"
    if doers:
        follows.moved(doers[0], "conj")


@looks_at()
def noun_read_as_order(word: Word, words: list[Word]) -> None:
    """ "fire over a black base": at the start of a caption hardly anybody gives an order."""
    follows = after(word, words)
    if word.i or follows is None or word.kids("dobj", "nsubj", "ccomp", "aux"):
        return
    base = wordnet.lemma(word.low, "n", inflected=word.tag == "VBZ")
    if not wordnet.has(base, "n"):
        return
    if word.kids("prt", "xcomp") or word.tag != "VB":
        named = word.tag == "VBZ" or (follows.pos == "ADP" and word.tag in ("VBG", "VBP"))
        named = named or (living(word) and follows.tag == "VBG")
    else:
        named = follows.pos == "ADP" or not more_verb(word)
    if follows.low == "of" and word.tag != "VBG":  # "set of nails"
        word.pos, word.tag = "NOUN", "NNS" if word.tag == "VBZ" else "NN"
    often = wordnet.count(base, "n") * _ORDERS >= wordnet.count(_verb(word), "v")
    if named and often and (word.tag == "VB" or wordnet.supersense(base, "n") not in _DOINGS):
        word.pos, word.tag = "NOUN", "NNS" if word.tag == "VBZ" else "NN"
        for child in word.kids("xcomp"):
            child.dep = "acl"


@looks_at(tag=("VB", "VBD", "VBN"), low=_twice_a_noun)
def noun_read_as_past(word: Word, words: list[Word]) -> None:
    """ "a grill, a stove": the past of "stave", to the tagger."""
    if not word.kids("nsubj", "nsubjpass", "dobj", "aux"):
        word.pos, word.tag = "NOUN", "NN"


@looks_at(tag=("VBN", "VBD"), low=quality)
def quality_after_link(word: Word, words: list[Word]) -> None:
    """ "looking surprised": nobody is looked at."""
    left = before(word, words)
    if left is None or left.pos not in ("VERB", "AUX"):
        return
    if wordnet.lemma(left.low, "v", inflected=True) not in LINKING or word.kids("dobj", "agent"):
        return
    if left.under(word):  # the model took the state for the verb
        left.pos = "VERB"
        give_way(word, left)
    elif word.head is not left:
        return
    word.moved(left, "acomp")
    word.pos, word.tag = "ADJ", "JJ"


@looks_at(tag=("VBD", "VBN", "VBG"))
def adjective_read_as_verb(word: Word, words: list[Word]) -> None:
    """ "red and blue striped umbrella": "striped" is read as a verb with the subject "red"."""
    if word.kids("aux", "auxpass"):
        return
    things = word.kids("dobj", "obj")
    nearest = (c for c in things if min([c.i, *(k.i for k in c.children)]) == word.i + 1)
    thing = next(nearest, None)
    subjects = word.kids("nsubj", "nsubjpass")
    if thing is None or thing.kids("det") or len(subjects) > 1:
        return
    if not all(s.pos == "ADJ" and s.i < word.i for s in subjects):
        return
    first = word.i == sum(c.i < word.i for c in word.kids("npadvmod", "advmod"))
    if not subjects and not (word.dep == "ROOT" and first and word.tag != "VBG"):
        return
    for subject in subjects:
        subject.dep = "amod"
    by = word.kids("npadvmod")
    give_way(word, thing)
    word.moved(thing, "amod")
    for means in by:  # "hand drawn"
        means.moved(word, "npadvmod")
    word.tag = "VBN"


@looks_at(pos=("VERB", "ADJ"))
def noun_read_as_adjective(word: Word, words: list[Word]) -> None:
    """ "a brown couch": a determiner hangs only on nouns, whatever the tag says."""
    if not word.kids("det") or wordnet.is_colour(word.low) or word.low in lexicon.noise("a"):
        return  # "a few of the cows" are cows
    follows = after(word, words)
    if follows is not None and (follows.pos in NOMINAL or follows.pos == "ADJ"):
        return
    if wordnet.has(wordnet.lemma(word.low, "n"), "n") and not word.kids("nsubj", "aux"):
        word.pos, word.tag = "NOUN", "NN"


@looks_at(tag=("VBN",), dep=("amod",))
def name_read_as_state(word: Word, words: list[Word]) -> None:
    """ "a dog sled team": nothing has been sled."""
    left = before(word, words)
    if left is None or left.head is not word:
        return
    if wordnet.has(f"{left.low} {word.low}", "n"):
        word.pos, word.tag, word.dep = "NOUN", "NN", "compound"
        left.dep = "compound"


@looks_at(tag=("VB", "VBP"), dep=("conj",), low=_may_be_a_noun)
def noun_after_and(word: Word, words: list[Word]) -> None:
    """ "in dresses and head scarves", "has a nose and face makeup": no verb has this form there."""
    follows, first = after(word, words), word.head
    if first is None or follows is None:
        return
    if follows.dep != "dobj" or follows.head is not word or word.kids("aux", "nsubj", "prt"):
        return
    if first.tag in ("VB", "VBP") or word.i < 3:
        return
    if first.tag == "NNS" and more_verb(word):
        return
    partner = words[word.i - 2]
    if words[word.i - 1].low != "and" or partner.pos not in NOMINAL:
        return
    give_way(word, follows)
    word.moved(follows, "compound")
    word.pos, word.tag = "NOUN", "NN"
    follows.moved(partner, "conj")


@looks_at(low=("left",))
def side_read_as_verb(word: Word, words: list[Word]) -> None:
    """ "person , left , and his wife": where he stands, not what he does."""
    left, follows = before(word, words), after(word, words)
    if left is None or left.text != "," or word.kids("dobj", "aux"):
        return
    if follows is not None and follows.text not in (",", "."):
        return
    for subject in word.kids("nsubj")[:1]:
        give_way(word, subject)
        word.moved(subject, "advmod")
    word.pos, word.tag = "ADV", "RB"


@looks_at(dep=("ROOT", "appos", "conj"), low=_may_be_a_noun)
def noun_before_of(word: Word, words: list[Word]) -> None:
    """ "home of the prime minister": an adverb does nothing of somebody."""
    if any(c.low == "of" for c in word.kids("prep")):
        word.pos, word.tag = "NOUN", "NN"


@looks_at(dep=("relcl",))
def who_is_a_person(word: Word, words: list[Word]) -> None:
    """ "the reign of a monarch, who divided the country": the reign did not."""
    who = next((c for c in word.kids("nsubj", "nsubjpass") if c.low == "who"), None)
    if who is None or word.head is None or _somebody(word.head):
        return
    for noun in reversed(words[max(0, who.i - _NEAR) : who.i]):
        if noun.pos in NOMINAL and living(noun) and not noun.under(word):
            word.moved(noun, "relcl")
            return


def _somebody(noun: Word) -> bool:
    base = base_of(noun)
    return living(noun) or wordnet.is_social(base) or not wordnet.has(base, "n")


@looks_at()
def which_is_no_person(word: Word, words: list[Word]) -> None:
    """ "jumps over a shed which is covered": the shed is."""
    which = next((c for c in word.kids("nsubj", "nsubjpass", "dobj") if c.low == "which"), None)
    if which is None or not which.i or word.dep == "ROOT":
        return
    thing = words[which.i - 1]
    if thing.pos in NOMINAL and thing is not word.head and not thing.under(word):
        word.moved(thing, "relcl")
