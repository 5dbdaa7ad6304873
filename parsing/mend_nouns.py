"""Mends words that are tagged as nouns: verbs, participles and adverbs among them."""

from __future__ import annotations

from parsing import describing, wordnet
from parsing.mend_tree import (
    NOMINAL,
    after,
    base_of,
    before,
    first_of,
    give_way,
    infinitive,
    living,
    looks_at,
    more_verb,
    participle,
    share_verb,
    singular,
    take_over,
    verb_itself,
    verb_of,
)
from parsing.words import Word

_ONE = {"a", "an", "one", "this", "that", "each", "every", "another"}
_BEFORE = ("amod", "compound", "nmod")
_AFTER_BE = ("acomp", "attr", "oprd")
_NOT_DOING = {"noun.artifact", "noun.event", "noun.food", "noun.substance", "noun.group"}


@wordnet.remembered
def _no_noun(low: str) -> bool:
    other = wordnet.has(low, "r") or wordnet.has(low, "a")
    return other and not wordnet.has(wordnet.lemma(low, "n"), "n")


@wordnet.remembered
def _hardly_a_noun(low: str) -> bool:
    bases = (wordnet.lemma(low, "n", inflected=inflected) for inflected in (False, True))
    return not wordnet.count(low, "n") or not all(wordnet.has(base, "n") for base in bases)


@wordnet.remembered
def _only_a_past(low: str) -> bool:
    return low.endswith("ed") and not wordnet.has(low, "n") and verb_of(low) is not None


@wordnet.remembered
def _is_adjective_only(low: str) -> bool:
    return wordnet.has(low, "a") and not wordnet.has(wordnet.lemma(low, "n"), "n")


@looks_at(tag=("NN", "NNS"))
def noun_with_a_subject(word: Word, words: list[Word]) -> None:
    """ "A man in a shirt climbs a rock": only the tag is wrong, the tree knows better."""
    if word.kids("cop", "det", "aux"):
        return
    doers = [c for c in word.kids("nsubj") if c.i < word.i]
    if not doers:
        return
    if word.tag == "NN" and not word.low.endswith("ing"):
        if any(living(c) and c.tag == "NNS" for c in doers) and infinitive(word, True):
            word.pos, word.tag = "VERB", "VBP"  # "girls in dresses dance"
        return
    if infinitive(word):
        word.pos, word.tag = "VERB", "VBZ" if word.tag == "NNS" else "VBG"


@looks_at(pos=NOMINAL, low=verb_itself)
def verb_read_as_noun(word: Word, words: list[Word]) -> None:
    """ "A dog runs." is read as one compound noun, "two dogs tug" as two nouns side by side."""
    left = before(word, words)
    if left is None or left.pos not in NOMINAL or left.dep == "poss":
        return
    alone = singular(left) and not _coordinated(left, word)
    if alone == singular(word) and word.tag != "NNP":
        return  # "dog runs" and "dogs run" agree, "dog run" and "dogs runs" do not
    one = any(c.low in _ONE for c in [*word.kids("det"), *left.kids("det")])
    if not ((one and not singular(word)) or (living(left) and more_verb(word))):
        return
    if left.head is word and left.dep in ("compound", "nsubj", "nmod", "amod", "nummod"):
        if word.dep in ("pobj", "dobj") and not living(left):
            name_took_the_verb(word, words)  # "in a helmet races": it is not the helmet that does
            if word.pos == "VERB":
                return
        for child in [c for c in word.children if c.i < left.i and c.dep != "punct"]:
            child.moved(left, child.dep)
        left.moved(word, "nsubj")
        share_verb(word, left, words)
    elif first_of(left).head is word and first_of(left).dep == "nsubj":
        pass  # only the tag is wrong
    elif word.head is left:
        take_over(word, left)
        if word.dep in ("dobj", "pobj"):  # "wearing a jacket climbs": nobody wears the climb
            left.dep = "compound"
            name_took_the_verb(word, words)
            left.dep = "nsubj" if left.head is word else left.dep
    else:
        return
    word.pos, word.tag = "VERB", "VBZ"


def _coordinated(before: Word, word: Word) -> bool:
    """ "a small dog and a large dog play": two singulars are a plural."""
    first = word.head if word.dep == "conj" else first_of(before)
    return first is not None and any(c.low == "and" for c in first.kids("cc"))


@looks_at(dep=("pobj",), tag=("NN", "NNS"))
def colour_took_the_verb(word: Word, words: list[Word]) -> None:
    """ "A man in red lays on": "red lays" is read as what the man is in."""
    prep = word.head
    if prep is None or prep.low not in ("in", "of"):
        return
    left = [c for c in word.children if c.i < word.i]
    subject = prep.head
    if word.tag == "NN" and word.low.endswith("ing") and infinitive(word):
        _colour_took_the_participle(word, prep, left)
        return
    if word.tag != "NNS" or subject is None or subject.pos not in NOMINAL:
        return
    if not more_verb(word) or _worn(word):
        return
    colours = list(left[0].conjuncts()) if len(left) == 1 else []  # "in blue and red crosses"
    if not colours or colours[-1].i != word.i - 1:
        return
    if not all(wordnet.is_colour(colour.low) for colour in colours):
        return
    word.moved(None, "ROOT")
    take_over(word, subject)
    left[0].moved(prep, "pobj")
    word.pos, word.tag = "VERB", "VBZ"


def _colour_took_the_participle(word: Word, prep: Word, left: list[Word]) -> None:
    """ "dressed in green snowboarding": he is in green, and snowboards."""
    who = prep.head
    if who is not None and who.pos == "VERB" and who.dep == "acl":
        who = who.head
    alone = len(left) == 1 and left[0].i == word.i - 1 and wordnet.is_colour(left[0].low)
    if alone and who is not None and living(who):
        word.moved(who, "acl")
        left[0].moved(prep, "pobj")
        word.pos, word.tag = "VERB", "VBG"


def _worn(word: Word) -> bool:
    """ "in blue dresses", "in white pants": clothes, though "dress" and "pant" are verbs."""
    forms = (word.low, wordnet.lemma(word.low, "n", inflected=True))
    return any(wordnet.is_worn(form) for form in forms)


@looks_at(dep=("pobj", "dobj"))
def name_took_the_verb(word: Word, words: list[Word]) -> None:
    """ "A biker in a red helmet rides through": "helmet rides" is read as what he is in.

    So in "a girl wearing a vest floats", "a group of people dressed in formal wear pose".
    """
    left, over = before(word, words), word.head
    if left is None or over is None:
        return
    sure = word.tag in ("VB", "VBP", "VBD") or not wordnet.has(base_of(word), "n")
    if left.head is not word or left.dep not in ("compound", "amod", "nmod"):
        return
    if (word.tag not in ("NNS", "VBZ") and not sure) or not infinitive(word, word.tag == "VBP"):
        return
    if not wordnet.has(base_of(left), "n"):
        return
    if left.tag == "NNS" and not sure and (word.tag != "NNS" or not more_verb(word)):
        return  # but "hands searches" is no name
    who = _who(word, over)
    subject = who
    while subject and subject.dep == "pobj" and subject.head and subject.head.low == "of":
        subject = subject.head.head
    if who is None or subject is None or subject.pos not in NOMINAL:
        return
    if subject.dep != "ROOT":
        return
    known = wordnet.has(f"{left.low} {base_of(word)}", "n")
    lifeless = wordnet.has(who.low, "n") and not living(who)  # "biker" is not listed
    more = more_verb(word) or any(c.low in _ONE for c in word.kids("det"))  # "a helmet races"
    if not sure and (known or lifeless or not more or _worn(word)):
        return
    for child in [c for c in word.children if c.i < left.i]:
        child.moved(left, child.dep)
    dep = word.dep
    word.moved(None, "ROOT")
    take_over(word, subject)
    left.moved(over, dep)
    for child in [c for c in over.children if c.i > word.i]:
        child.moved(word, child.dep)
    if left.pos not in NOMINAL:
        left.pos, left.tag = "NOUN", "NN"
    word.pos, word.tag = "VERB", "VBP" if word.tag == "VBP" else "VBZ"


def _who(word: Word, over: Word) -> Word | None:
    """Who is in it or has it: the noun above a preposition or a participle."""
    if word.dep == "dobj":
        return over.head if over.tag == "VBG" and over.dep in ("acl", "conj") else None
    who = over.head
    return who.head if who is not None and who.pos == "VERB" and who.dep == "acl" else who


@looks_at(pos=NOMINAL, dep=("compound", "amod"), low=participle)
def participle_before_its_noun(word: Word, words: list[Word]) -> None:
    """ "a sleeping tiger": read as a kind of tiger; but "running shoes" are shoes."""
    thing = word.head
    if thing is None or wordnet.has(f"{word.low} {thing.low}", "n"):
        return
    if living(thing) or wordnet.count(word.low, "a") > wordnet.count(word.low, "n"):
        word.pos, word.tag, word.dep = "VERB", "VBG", "amod"


@looks_at(pos=NOMINAL, low=participle)
def participle_read_as_noun(word: Word, words: list[Word]) -> None:
    """ "a red dress kneeling": a compound noun that no dictionary has, ending in a participle."""
    left = before(word, words)
    if left is None or left.pos not in NOMINAL:
        return
    known = wordnet.has(f"{left.low} {word.low}", "n")
    follows = after(word, words)
    kind_of = follows is not None and word.head is follows and not more_verb(follows)
    if kind_of and describing.is_material(left.low):
        left.moved(follows, left.dep)  # "leather hiking boots"
        return
    # "a helmet climbing a rock": what follows shows that it is a verb
    goes_on = word.kids("prt", "npadvmod", "advmod", "dobj")
    if known or (wordnet.supersense(word.low, "n") in _NOT_DOING and not goes_on):
        return
    direct = left.head is word and left.dep in ("compound", "nmod", "nsubj", "amod")
    # "small and large dog playing": the noun hides among the adjectives
    if not direct and not (left.dep == "conj" and left.under(word)):
        return
    place, dep = word.head, word.dep
    left.moved(None, dep)
    for child in [c for c in word.children if c.i < left.i]:
        child.moved(left, child.dep)
    word.moved(left, "acl")
    left.moved(place, dep)
    word.pos, word.tag = "VERB", "VBG"
    for child in word.kids("npadvmod"):
        child.dep = "dobj"
    if follows is not None and follows.pos in NOMINAL and follows.dep == "appos":
        follows.moved(word, "dobj")  # "in a hat picking grapes"


@looks_at(dep=("attr",), low=participle)
def sport_read_as_noun(word: Word, words: list[Word]) -> None:
    """ "two people are rock climbing": nobody is a sport."""
    be, left = word.head, before(word, words)
    if be is None or be.pos != "AUX":
        return
    if left is None or left.head is not word or left.dep != "compound" or word.kids("det", "amod"):
        return
    if any(living(subject) for subject in be.kids("nsubj")):
        word.pos, word.tag = "VERB", "VBG"


@looks_at(pos=("NOUN",), dep=("conj",), low=participle)
def participle_read_as_object(word: Word, words: list[Word]) -> None:
    """ "is wearing purple and jogging": the second verb is read as a second thing worn."""
    thing = word.head
    if thing is None:
        return
    verb = thing.head if thing.dep == "dobj" else thing
    if verb is None or verb.tag != "VBG" or verb.pos != "VERB" or word.kids("det", "amod"):
        return
    acts = wordnet.supersense(word.low, "n") not in _NOT_DOING
    if acts and not word.kids("compound"):
        word.moved(verb, "conj")
        word.pos, word.tag = "VERB", "VBG"


@looks_at(pos=("NOUN",), low=_no_noun)
def other_read_as_noun(word: Word, words: list[Word]) -> None:
    """ "play basketball indoors", "on a balcony outdoor": the noun is the word before."""
    left = before(word, words)
    if left is None or left.head is not word or left.dep not in ("compound", "amod"):
        return
    only_a_noun = wordnet.has(left.low, "n") and not describing.is_adjective(left.low)
    if left.pos not in NOMINAL and not only_a_noun:
        return
    adverb = wordnet.has(word.low, "r")
    place, dep = word.head, word.dep
    left.moved(None, dep)
    word.moved(left, "advmod" if adverb else "amod")
    left.moved(place, dep)
    word.pos, word.tag = ("ADV", "RB") if adverb else ("ADJ", "JJ")
    if left.pos not in NOMINAL:
        left.pos, left.tag = "NOUN", "NN"
    for child in word.kids("det", "amod", "poss", "compound", "prep", "nummod"):
        child.moved(left, child.dep)


@looks_at(pos=NOMINAL, low=_hardly_a_noun)
def never_a_noun(word: Word, words: list[Word]) -> None:
    """ "smiling underwater", "upside down": nouns to the tagger only."""
    left = before(word, words)
    if left is not None and left.pos == "VERB" and left.head in word.kids("compound", "nmod"):
        # "a toddler swimming underwater"
        only_adverb = wordnet.has(word.low, "r") or wordnet.has(word.low, "a")
        if left.head and only_adverb and not wordnet.has(base_of(word), "n"):
            for child in [c for c in word.children if c.i > word.i]:
                child.moved(left, child.dep)
            give_way(word, left.head)
            word.moved(left, "advmod")
            word.pos, word.tag = "ADV", "RB"
        return
    if word.kids("det", "amod", "poss", "compound"):
        return
    follows = after(word, words)
    both = f"{word.low} {follows.low}" if follows else ""
    if both and any(wordnet.has(both, pos) for pos in "ra"):
        if not wordnet.has(both, "n") and not wordnet.count(word.low, "n"):
            word.pos, word.tag = "ADV", "RB"
    elif (
        word.dep in ("dobj", "npadvmod", "attr")
        and (wordnet.has(word.low, "r") or wordnet.has(word.low, "a"))
        and not wordnet.has(wordnet.lemma(word.low, "n", inflected=True), "n")
    ):
        word.pos, word.tag = "ADV", "RB"


@looks_at(dep=(*_BEFORE, *_AFTER_BE))
def quality_read_as_noun(word: Word, words: list[Word]) -> None:
    """ "People are upside-down", "young businesswoman": things to the tagger only."""
    if word.dep in _BEFORE and word.head is not None and word.i < word.head.i:
        if describing.is_new(word.low):
            word.pos, word.tag, word.dep = "ADJ", "JJ", "amod"
        weight = 1 if word.dep == "amod" else 3
        as_noun = wordnet.count(word.low, "n")
        usual = word.dep != "nmod" and wordnet.count(word.low, "a") > weight * as_noun
        usual |= word.dep == "amod" and _is_adjective_only(word.low)  # "leafless trees"
        if not as_noun and wordnet.has(word.low, "a"):  # "hind legs"
            usual = usual or wordnet.supersense(base_of(word.head), "n") == "noun.body"
        follows = after(word, words)
        if follows is not None and follows.pos == "ADJ" and follows.head is word.head:
            usual = usual or wordnet.has(word.low, "a")  # "hip young people"
        if word.pos in NOMINAL and usual and not wordnet.is_colour(word.low):
            word.pos, word.tag, word.dep = "ADJ", "JJ", "amod"
        return
    if word.pos not in NOMINAL or word.dep not in _AFTER_BE or word.kids("det"):
        return
    if wordnet.has(word.low, "a") and not wordnet.has(wordnet.lemma(word.low, "n"), "n"):
        word.pos, word.tag, word.dep = "ADJ", "JJ", "acomp"


@looks_at(dep=_BEFORE, low=_only_a_past)
def participle_read_as_name(word: Word, words: list[Word]) -> None:
    """ "tattooed barber": no noun ends so."""
    if word.head is not None and word.i < word.head.i:
        word.pos, word.tag, word.dep = "VERB", "VBN", "amod"
