"""Mends faults the language model makes again and again in captions, before the rules read them."""

from __future__ import annotations

from parsing import wordnet
from parsing.words import Word

_ONE = {"a", "an", "one", "this", "that", "each", "every", "another"}
_LIVING = {"noun.person", "noun.animal"}
_NOMINAL = {"NOUN", "PROPN"}
_CONTENT = {"NOUN", "PROPN", "VERB", "ADJ", "ADV", "INTJ", "X"}
_BODILY = {"verb.body", "verb.motion", "verb.consumption", "verb.competition", "verb.perception"}
LINKING = {"appear", "feel", "look", "remain", "seem", "smell", "sound", "stay", "taste", "turn"}
"""Verbs that join a thing with its quality."""
_OF_NOUNS = {"det", "amod", "nummod", "poss", "compound", "nmod", "advmod", "predet"}
_NOT_DOING = {"noun.artifact", "noun.event", "noun.food", "noun.substance", "noun.group"}


def mend(words: list[Word]) -> None:
    """Change the words in place; the tree stays a tree."""
    for at, word in enumerate(words):
        if word.pos not in _CONTENT:
            continue
        before = words[at - 1] if at else None
        _noun_read_as_exclamation(word)
        _only_a_noun(word)
        _noun_with_a_subject(word)
        _verb_read_as_noun(word, before)
        _verb_with_a_compound(word, before)
        _colour_took_the_verb(word)
        _name_took_the_verb(word, before)
        _noun_read_as_order(word)
        _noun_read_as_past(word)
        _activity_read_as_quality(word)
        _participle_before_its_noun(word)
        _quality_after_link(word, before)
        _participle_read_as_noun(word, before)
        _participle_read_as_object(word)
        _adverb_read_as_noun(word, before)
        _never_a_noun(word, words)
        _coordinated_with_a_verb(word, words)
        _way_read_as_object(word, words)
        _adjective_read_as_verb(word)
        _noun_read_as_adjective(word, words)


def _noun_read_as_exclamation(word: Word) -> None:
    """ "Boy in camouflage", as if someone cried "boy"."""
    if word.pos in ("INTJ", "X") and _living(word):
        word.pos, word.tag = "NOUN", "NN"
        if word.dep == "intj" and word.head and word.head.pos == "VERB":
            word.dep = "nsubj"


def _only_a_noun(word: Word) -> None:
    """ "Geese, mice": tagged as anything, but no dictionary has it as anything else."""
    if word.pos not in ("ADJ", "VERB", "ADV", "INTJ") or not word.text.isalpha():
        return
    if tag := _tag_of_noun_only(word.low):
        word.pos, word.tag = "NOUN", tag
        before_verb = word.head is not None and word.head.pos == "VERB" and word.i < word.head.i
        if word.dep == "advmod" and before_verb:
            word.dep = "nsubj"


@wordnet.remembered
def _tag_of_noun_only(low: str) -> str:
    if any(wordnet.has(wordnet.lemma(low, pos), pos) for pos in "var"):
        return ""
    base = wordnet.lemma(low, "n", inflected=True)
    return "" if not wordnet.has(base, "n") else "NN" if base == low else "NNS"


def _noun_with_a_subject(word: Word) -> None:
    """ "A man in a shirt climbs a rock": only the tag is wrong, the tree knows better."""
    if word.tag not in ("NNS", "NN") or word.kids("cop", "det", "aux"):
        return
    if not any(c.i < word.i for c in word.kids("nsubj")):
        return
    if word.tag == "NN" and not word.low.endswith("ing"):
        return
    base = wordnet.lemma(word.low, "v", inflected=True)
    if base != word.low and wordnet.has(base, "v"):
        word.pos, word.tag = "VERB", "VBZ" if word.tag == "NNS" else "VBG"


def _singular(word: Word) -> bool:
    return word.pos in _NOMINAL and word.tag in ("NN", "NNP")


def _more_verb(word: Word) -> bool:
    """Whether this form is a verb more often than a noun: "runs" is, "toys" is not."""
    as_verb = wordnet.count(wordnet.lemma(word.low, "v"), "v")
    nouns = {word.low, wordnet.lemma(word.low, "n", inflected=True)}  # "pants" is no pant
    return as_verb > max(wordnet.count(noun, "n") for noun in nouns)


def _living(word: Word) -> bool:
    return wordnet.supersense(wordnet.lemma(word.low, "n", inflected=True), "n") in _LIVING


def _verb_read_as_noun(word: Word, before: Word | None) -> None:
    """ "A dog runs." is read as one compound noun, "two dogs tug" as two nouns side by side."""
    if before is None or word.pos not in _NOMINAL or before.pos not in _NOMINAL:
        return
    if not wordnet.has(wordnet.lemma(word.low, "v"), "v") or before.dep == "poss":
        return
    alone = _singular(before) and not _coordinated(before, word)
    if alone == _singular(word) and word.tag != "NNP":
        return  # "dog runs" and "dogs run" agree, "dog run" and "dogs runs" do not
    one = any(c.low in _ONE for c in [*word.kids("det"), *before.kids("det")])
    if not ((one and not _singular(word)) or (_living(before) and _more_verb(word))):
        return
    if before.head is word and before.dep in ("compound", "nsubj", "nmod", "amod"):
        for child in [c for c in word.children if c.i < before.i and c.dep != "punct"]:
            child.moved(before, child.dep)
        before.moved(word, "nsubj")
    elif _first_of(before).head is word and _first_of(before).dep == "nsubj":
        pass  # only the tag is wrong
    elif word.head is before:
        _take_over(word, before)
    else:
        return
    word.pos, word.tag = "VERB", "VBZ"


def _verb_with_a_compound(word: Word, before: Word | None) -> None:
    """ "A dog rolls on": the tag is right, but the dog hangs on it as part of a name."""
    if before is None or word.pos != "VERB" or before.pos not in _NOMINAL:
        return
    if before.head is not word or before.dep not in ("compound", "nmod") or word.kids("nsubj"):
        return
    if not _more_verb(word):
        return  # "pajama pants"
    for child in [c for c in word.children if c.i < before.i and c.dep in _OF_NOUNS]:
        child.moved(before, child.dep)
    before.moved(word, "nsubj")


def _coordinated(before: Word, word: Word) -> bool:
    """ "a small dog and a large dog play": two singulars are a plural."""
    first = word.head if word.dep == "conj" else _first_of(before)
    return first is not None and any(c.low == "and" for c in first.kids("cc"))


def _first_of(word: Word) -> Word:
    """The first of what is coordinated."""
    while word.dep == "conj" and word.head is not None:
        word = word.head
    return word


def _take_over(verb: Word, subject: Word) -> None:
    """The verb takes its subject's place in the tree, and what follows it."""
    place, dep = subject.head, subject.dep
    verb.moved(None, dep)
    for child in [c for c in subject.children if c.i > verb.i]:
        child.moved(verb, child.dep)
    subject.moved(verb, "nsubj")
    verb.moved(place, dep)


def _colour_took_the_verb(word: Word) -> None:
    """ "A man in red lays on": "red lays" is read as what the man is in."""
    prep = word.head
    if word.tag != "NNS" or word.dep != "pobj" or prep is None or prep.low not in ("in", "of"):
        return
    left = [c for c in word.children if c.i < word.i]
    subject = prep.head
    if subject is None or subject.pos not in _NOMINAL or not _more_verb(word):
        return
    if len(left) != 1 or left[0].i != word.i - 1 or not wordnet.is_colour(left[0].low):
        return
    word.moved(None, "ROOT")
    _take_over(word, subject)
    left[0].moved(prep, "pobj")
    word.pos, word.tag = "VERB", "VBZ"


def _name_took_the_verb(word: Word, before: Word | None) -> None:
    """ "A biker in a red helmet rides through": "helmet rides" is read as what he is in."""
    prep = word.head
    if before is None or word.tag != "NNS" or word.dep != "pobj" or prep is None:
        return
    subject = prep.head
    if before.head is not word or before.dep != "compound" or not _singular(before):
        return
    if subject is None or subject.pos not in _NOMINAL or subject.dep != "ROOT":
        return
    known = wordnet.has(f"{before.low} {wordnet.lemma(word.low, 'n', inflected=True)}", "n")
    lifeless = wordnet.has(subject.low, "n") and not _living(subject)  # "biker" is not listed
    if known or lifeless or not _more_verb(word):
        return
    for child in [c for c in word.children if c.i < before.i]:
        child.moved(before, child.dep)
    word.moved(None, "ROOT")
    _take_over(word, subject)
    before.moved(prep, "pobj")
    word.pos, word.tag = "VERB", "VBZ"


def _participle_before_its_noun(word: Word) -> None:
    """ "a sleeping tiger": read as a kind of tiger; but "running shoes" are shoes."""
    thing = word.head
    inside = word.dep in ("compound", "amod")
    if word.pos not in _NOMINAL or not inside or not word.low.endswith("ing"):
        return
    if thing is None or wordnet.has(f"{word.low} {thing.low}", "n"):
        return
    base = wordnet.lemma(word.low, "v", inflected=True)
    if base == word.low or not wordnet.has(base, "v"):
        return
    if _living(thing) or wordnet.count(word.low, "a") > wordnet.count(word.low, "n"):
        word.pos, word.tag, word.dep = "VERB", "VBG", "amod"


def _noun_read_as_order(word: Word) -> None:
    """ "fire over a black base": at the start of a caption hardly anybody gives an order."""
    if word.i or word.tag != "VB" or word.kids("dobj", "prt", "nsubj", "xcomp"):
        return
    if wordnet.has(word.low, "n") and not _more_verb(word):
        word.pos, word.tag = "NOUN", "NN"


def _noun_read_as_past(word: Word) -> None:
    """ "a grill, a stove": the past of "stave", to the tagger."""
    if word.tag not in ("VB", "VBD", "VBN") or word.kids("nsubj", "nsubjpass", "dobj", "aux"):
        return
    if wordnet.count(word.low, "n") > 2 * wordnet.count(wordnet.lemma(word.low, "v"), "v"):
        word.pos, word.tag = "NOUN", "NN"


def _activity_read_as_quality(word: Word) -> None:
    """ "a smiling woman" does something, "a charming woman" does not."""
    thing = word.head
    if word.tag != "JJ" or word.dep != "amod" or not word.low.endswith("ing") or thing is None:
        return
    base = wordnet.lemma(word.low, "v", inflected=True)
    if base != word.low and wordnet.supersense(base, "v") in _BODILY and _living(thing):
        word.pos, word.tag = "VERB", "VBG"


def _quality_after_link(word: Word, before: Word | None) -> None:
    """ "looking surprised": nobody is looked at."""
    if before is None or word.tag != "VBN" or before.pos != "VERB":
        return
    if wordnet.lemma(before.low, "v", inflected=True) not in LINKING or word.kids("dobj", "agent"):
        return
    if not wordnet.has(word.low, "a"):
        return
    if before.under(word):  # the model took the state for the verb
        place, dep = word.head, word.dep
        before.moved(None, dep)
        for child in list(word.children):
            child.moved(before, child.dep)
        before.moved(place, dep)
    elif word.head is not before:
        return
    word.moved(before, "acomp")
    word.pos, word.tag = "ADJ", "JJ"


def _participle_read_as_noun(word: Word, before: Word | None) -> None:
    """ "a red dress kneeling": a compound noun that no dictionary has, ending in a participle."""
    if before is None or word.pos not in _NOMINAL or not word.low.endswith("ing"):
        return
    base = wordnet.lemma(word.low, "v", inflected=True)
    if before.pos not in _NOMINAL or base == word.low or not wordnet.has(base, "v"):
        return
    known = wordnet.has(f"{before.low} {word.low}", "n")
    # "a helmet climbing a rock": what follows shows that it is a verb
    goes_on = word.kids("prt", "npadvmod", "advmod", "dobj")
    if known or (wordnet.supersense(word.low, "n") in _NOT_DOING and not goes_on):
        return
    direct = before.head is word and before.dep in ("compound", "nmod", "nsubj", "amod")
    # "small and large dog playing": the noun hides among the adjectives
    if not direct and not (before.dep == "conj" and before.under(word)):
        return
    place, dep = word.head, word.dep
    before.moved(None, dep)
    for child in [c for c in word.children if c.i < before.i]:
        child.moved(before, child.dep)
    word.moved(before, "acl")
    before.moved(place, dep)
    word.pos, word.tag = "VERB", "VBG"
    for child in word.kids("npadvmod"):
        child.dep = "dobj"


def _participle_read_as_object(word: Word) -> None:
    """ "is wearing purple and jogging": the second verb is read as a second thing worn."""
    thing = word.head
    if word.dep != "conj" or word.pos != "NOUN" or not word.low.endswith("ing") or thing is None:
        return
    verb = thing.head if thing.dep == "dobj" else thing
    if verb is None or verb.tag != "VBG" or verb.pos != "VERB" or word.kids("det", "amod"):
        return
    base = wordnet.lemma(word.low, "v", inflected=True)
    acts = wordnet.supersense(word.low, "n") not in _NOT_DOING
    if acts and base != word.low and wordnet.has(base, "v") and not word.kids("compound"):
        word.moved(verb, "conj")
        word.pos, word.tag = "VERB", "VBG"


def _adverb_read_as_noun(word: Word, before: Word | None) -> None:
    """ "play basketball indoors": a word that is never a noun gives its place to the one before."""
    if before is None or word.pos != "NOUN" or before.pos not in _NOMINAL:
        return
    if before.head is not word or before.dep != "compound" or not wordnet.has(word.low, "r"):
        return
    if wordnet.has(wordnet.lemma(word.low, "n"), "n"):
        return
    place, dep = word.head, word.dep
    before.moved(None, dep)
    word.moved(before, "advmod")
    before.moved(place, dep)
    word.pos, word.tag = "ADV", "RB"


def _coordinated_with_a_verb(word: Word, words: list[Word]) -> None:
    """ "biking in gloves and a hat": two things, not an activity and a thing.

    Also "wearing a shirt and pants is climbing", where the second thing became a second subject.
    """
    verb = word.head
    if word.pos not in _NOMINAL or verb is None or verb.pos != "VERB" or word.kids("nsubj", "cop"):
        return
    second = word.dep == "nsubj" and any(c.i < word.i for c in verb.kids("nsubj"))
    if not second and not (word.dep == "conj" and word.tag not in ("NNP", "NNPS")):
        return
    first = min([word.i, *(c.i for c in word.children)])
    if first < 2 or words[first - 1].low not in ("and", "or"):
        return
    partner = words[first - 2]
    if partner.pos in _NOMINAL and partner.dep in ("dobj", "pobj", "conj"):
        word.moved(partner, "conj")


def _way_read_as_object(word: Word, words: list[Word]) -> None:
    """ "climbing up a mountain": nobody climbs the mountain up, he climbs, and up it."""
    verb = word.head
    if word.dep != "dobj" or verb is None or verb.pos != "VERB":
        return
    first = min([word.i, *(c.i for c in word.children)])
    particle = words[first - 1]
    if particle.dep != "prt" or particle.head is not verb or particle.i != verb.i + 1:
        return
    if wordnet.is_travel(wordnet.lemma(verb.low, "v", inflected=verb.tag != "VB")):
        particle.dep, particle.pos = "prep", "ADP"
        word.moved(particle, "pobj")


def _never_a_noun(word: Word, words: list[Word]) -> None:
    """ "smiling underwater", "upside down": nouns to the tagger only."""
    if word.pos not in _NOMINAL or word.kids("det", "amod", "poss", "compound"):
        return
    follows = words[word.i + 1].low if word.i + 1 < len(words) else ""
    if follows and any(wordnet.has(f"{word.low} {follows}", pos) for pos in "ra"):
        if not wordnet.has(f"{word.low} {follows}", "n") and not wordnet.count(word.low, "n"):
            word.pos, word.tag = "ADV", "RB"
    elif (
        word.dep in ("dobj", "npadvmod", "attr")
        and (wordnet.has(word.low, "r") or wordnet.has(word.low, "a"))
        and not wordnet.has(wordnet.lemma(word.low, "n", inflected=True), "n")
    ):
        word.pos, word.tag = "ADV", "RB"


def _adjective_read_as_verb(word: Word) -> None:
    """ "red and blue striped umbrella": "striped" is read as a verb with the subject "red"."""
    if word.tag not in ("VBD", "VBN", "VBG") or word.kids("aux", "auxpass"):
        return
    thing = next((c for c in word.kids("dobj", "obj") if c.i == word.i + 1), None)
    subjects = word.kids("nsubj", "nsubjpass")
    if thing is None or thing.kids("det") or len(subjects) > 1:
        return
    if not all(s.pos == "ADJ" and s.i < word.i for s in subjects):
        return
    if not subjects and not (word.dep == "ROOT" and word.i == 0 and word.tag == "VBN"):
        return
    place, dep = word.head, word.dep
    thing.moved(None, dep)
    for child in list(word.children):
        child.moved(thing, "amod" if child in subjects else child.dep)
    word.moved(thing, "amod")
    thing.moved(place, dep)
    word.tag = "VBN"


def _noun_read_as_adjective(word: Word, words: list[Word]) -> None:
    """ "a brown couch": a determiner hangs only on nouns, whatever the tag says."""
    if word.pos not in ("VERB", "ADJ") or not word.kids("det"):
        return
    follows = words[word.i + 1] if word.i + 1 < len(words) else None
    if follows is not None and (follows.pos in _NOMINAL or follows.pos == "ADJ"):
        return
    if wordnet.has(wordnet.lemma(word.low, "n"), "n") and not word.kids("nsubj", "aux"):
        word.pos, word.tag = "NOUN", "NN"
