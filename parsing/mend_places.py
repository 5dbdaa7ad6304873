"""Mends where prepositions hang: the model takes the nearest noun, captions mean who acts."""

from __future__ import annotations

from parsing import wordnet
from parsing.mend_tree import NOMINAL, base_of, living, looks_at
from parsing.naming import of_what
from parsing.words import Word

_PICTURE = {"background", "backdrop", "foreground", "distance"}
_OWNERS = {"his", "her", "its", "their", "my", "your"}
_WHERE = {
    "across", "along", "around", "at", "behind", "beside", "down", "in", "inside", "near",
    "on", "outside", "over", "through", "under",
}  # fmt: skip
_DOING = {"noun.act", "noun.event"}
_SEEN = {
    "noun.animal", "noun.artifact", "noun.body", "noun.group", "noun.object", "noun.plant",
    "noun.substance",
}  # fmt: skip
_ALONG = {
    "across", "along", "around", "down", "into", "over", "past", "through", "toward", "towards",
    "up",
}  # fmt: skip
_GROUND = {"noun.object", "noun.phenomenon", "noun.plant", "noun.substance"}
_GROWS = {"noun.object", "noun.plant"}
_DOERS = ("nsubj", "nsubjpass", "npadvmod", "dep")
_FINITE = {"VBD", "VBN", "VBP", "VBZ"}
_LED_TO = {"CD", "DT", "IN", "JJ", "NN", "NNP", "NNS", "PRP", "PRP$", "TO", "VBG", "WDT"}
_NEVER_PARTICLES = {"as", "like", "than", "with"}
_PARTS = {"noun.animal", "noun.body"}  # "wings" are of an animal
_WEATHER = {"noun.phenomenon"}


@looks_at(low=("in",))
def with_in_the_background(word: Word, words: list[Word]) -> None:
    """ "a rock with waves in the background": the rock has no waves, the picture has."""
    if not any(noun.low in _PICTURE for noun in word.kids("pobj")):
        return
    for other in reversed(words[max(0, word.i - 10) : word.i]):
        if other.low == "with" and other.dep == "prep":
            if not any(wordnet.is_worn(base_of(thing)) for thing in other.kids("pobj")):
                other.dep = "dep"
            return
        if (other.pos == "ADP" and other.low != "of") or other.tag in _FINITE:
            return


@looks_at(low=("with",))
def with_somebody_doing(word: Word, words: list[Word]) -> None:
    """ "a tablet with a woman standing by": the tablet has no woman, she is there, too."""
    thing = _thing(word)
    if thing is None or word.head is None or word.head.pos not in NOMINAL:
        return
    if living(thing) and not living(word.head) and any(c.tag == "VBG" for c in thing.kids("acl")):
        word.dep = "dep"


@looks_at(low=("with",))
def with_his_own(word: Word, words: list[Word]) -> None:
    """ "stands by a rock with his hand up": the hand is his, not the rock's."""
    thing = _thing(word)
    if thing is None or word.head is None:
        return
    if word.head.pos not in NOMINAL or living(word.head):
        return
    if any(owner.low in _OWNERS for owner in thing.kids("poss")):
        _hung(word, _who_or_what(word.head))


@looks_at(low=("with",))
def with_what_he_holds(word: Word, words: list[Word]) -> None:
    """ "runs through a creek with a stick in its mouth": the mouth is not the creek's."""
    thing, place = _thing(word), word.head
    if thing is None or place is None or place.pos not in NOMINAL or living(place):
        return
    owners = [w for w in words[thing.i + 2 : thing.i + 4] if w.dep == "poss" and w.low in _OWNERS]
    part = owners[0].head if owners and words[thing.i + 1].pos == "ADP" else None
    if part is None or living(thing):
        return
    if wordnet.supersense(base_of(part), "n") in _PARTS or wordnet.is_worn(base_of(part)):
        _hung(word, _who_or_what(place))


@looks_at()
def in_his_mouth(word: Word, words: list[Word]) -> None:
    """ "runs with his toy in his mouth": the toy is in it, not the run."""
    thing = _thing(word)
    if thing is None or word.i < 2 or not thing.kids("poss"):
        return
    held = words[word.i - 1]
    over = held.head
    if held.dep != "pobj" or over is None or over.low != "with" or held.pos not in NOMINAL:
        return
    body = wordnet.supersense(base_of(thing), "n") in _PARTS
    if body and wordnet.supersense(base_of(held), "n") != "noun.body" and not living(held):
        word.moved(held, "prep")


@looks_at()
def past_the_colour(word: Word, words: list[Word]) -> None:
    """ "women in black with flags": the black has no flags."""
    colour = word.head
    if colour is None or colour.dep != "pobj" or not wordnet.is_colour(colour.low):
        return
    if colour.tag in ("NN", "JJ") and not colour.kids("det") and colour.head is not None:
        _hung(word, colour.head.head)


@looks_at(low=_WHERE)
def place_of_the_wearer(word: Word, words: list[Word]) -> None:
    """ "a man in a coat on a street", "plays with a ball on the grass": he is there, too."""
    thing, worn = _thing(word), word.head
    if thing is None or worn is None or worn.dep != "pobj":
        return
    base, prep = base_of(worn), worn.head
    own = wordnet.is_worn(base) or wordnet.supersense(base, "n") == "noun.body"
    if prep is not None and prep.low == "with" and prep.head is not None:
        own = own or prep.head.pos == "VERB"
    own = own or (_is_scene(thing) and not _is_scene(worn))
    if own and worn.pos in NOMINAL and _is_ground(base_of(thing)):
        _hung(word, _who_or_what(worn))


@looks_at(low=_WHERE)
def place_of_the_event(word: Word, words: list[Word]) -> None:
    """ "does a trick on a ramp": where he does it."""
    thing, event = _thing(word), word.head
    if thing is None or event is None or event.dep != "dobj":
        return
    base = base_of(of_what(thing) or thing)
    somewhere = _is_ground(base)
    seen = somewhere or wordnet.supersense(base, "n") in _SEEN
    if wordnet.supersense(base_of(event), "n") not in _DOING and not somewhere:
        return
    if seen and event.pos in NOMINAL:
        _hung(word, event.head)


@looks_at(low=("in",))
def in_clothes(word: Word, words: list[Word]) -> None:
    """ "on a swing in a coat": what is worn is worn by somebody."""
    thing = _thing(word)
    if thing is None or not wordnet.is_worn(base_of(thing)):
        return
    if word.head is not None and word.head.pos in NOMINAL and not living(word.head):
        _hung(word, _who_or_what(word.head))


@looks_at(low=_ALONG)
def along_the_way(word: Word, words: list[Word]) -> None:
    """ "rides a bike around a curve": the ride leads there."""
    ridden = word.head
    if ridden is None or ridden.dep != "dobj" or ridden.head is None:
        return
    verb = ridden.head
    if wordnet.is_travel(wordnet.lemma(verb.low, "v", inflected=verb.tag not in ("VB", "VBP"))):
        _hung(word, verb)


@looks_at(low=("with",))
def with_what_grows_there(word: Word, words: list[Word]) -> None:
    """ "runs in a field with flowers": the field has them."""
    thing, verb = _thing(word), word.head
    if thing is None or verb is None or verb.pos != "VERB" or not word.i:
        return
    place = words[word.i - 1]
    grows = wordnet.supersense(base_of(thing), "n") in _GROWS and not thing.kids("poss")
    if grows and place.pos in NOMINAL and wordnet.noun_kind(base_of(place)) == "scene":
        _hung(word, place)


@looks_at(low=("in",))
def in_front_of_all(word: Word, words: list[Word]) -> None:
    """ "dances with a girl in front of a crowd", "holds a sign in front of a shop": all that is."""
    partner = word.head
    if not any(noun.low == "front" for noun in word.kids("pobj")):
        return
    if partner is None or partner.pos not in NOMINAL or partner.head is None:
        return
    verb = partner.head if partner.dep == "dobj" else None
    if partner.dep == "pobj" and partner.head.low == "with":
        verb = partner.head.head
    if verb is not None and verb.pos == "VERB":
        _hung(word, verb)


@looks_at(low=("in",))
def in_the_weather(word: Word, words: list[Word]) -> None:
    """ "running on a street in snow": weather is where all happens."""
    thing, place = _thing(word), word.head
    if thing is None or place is None or place.dep != "pobj":
        return
    prep = place.head
    verb = prep.head if prep is not None else None
    if verb is not None and verb.pos == "VERB":
        name = base_of(thing)
        if wordnet.supersense(name, "n") in _WEATHER and wordnet.noun_kind(name) == "scene":
            _hung(word, verb)


def _is_ground(name: str) -> bool:
    """Where somebody can be: a street, the grass, the sand."""
    return wordnet.noun_kind(name) == "scene" or wordnet.supersense(name, "n") in _GROUND


def _is_scene(noun: Word) -> bool:
    return wordnet.noun_kind(base_of(noun)) == "scene"


def _thing(prep: Word) -> Word | None:
    return next(iter(prep.kids("pobj")), None)


def _who_or_what(noun: Word) -> Word | None:
    """What a noun in a place is said of: a verb, or a living thing."""
    word: Word | None = noun
    for _ in range(4):
        if word is None or word.head is None:
            return None
        word = word.head.head if word.dep == "pobj" else word.head
        if word is not None and (word.pos == "VERB" or living(word)):
            return word
    return None


def _hung(word: Word, goal: Word | None) -> None:
    """Move a preposition, but not to a verb that nobody does."""
    if goal is None or (goal.dep == "ROOT" and goal.pos == "VERB" and not goal.kids(*_DOERS)):
        return
    word.moved(goal, "prep")


@looks_at(dep=("prep", "advmod"), low=lambda low: low not in _NEVER_PARTICLES)
def particle_read_as_place(word: Word, words: list[Word]) -> None:
    """ "a crowd looks on": a preposition that leads nowhere belongs to the verb."""
    verb = word.head
    if word.children or verb is None or verb.pos != "VERB" or word.i != verb.i + 1:
        return
    if word.i + 1 < len(words) and words[word.i + 1].tag in _LED_TO:
        return
    base = wordnet.lemma(verb.low, "v", inflected=verb.tag not in ("VB", "VBP"))
    if wordnet.has(f"{base} {word.low}", "v"):
        word.dep = "prt"


@looks_at(low=("at",))
def looked_at(word: Word, words: list[Word]) -> None:
    """ "looks through a window at a plane": the look goes there."""
    place = word.head
    if place is None or place.dep != "pobj" or place.head is None:
        return
    verb = place.head.head
    if verb is not None and verb.pos == "VERB" and place.head.low != "at":
        base = wordnet.lemma(verb.low, "v", inflected=verb.tag not in ("VB", "VBP"))
        if wordnet.supersense(base, "v") == "verb.perception":
            _hung(word, verb)


@looks_at(dep=("dobj",))
def way_read_as_object(word: Word, words: list[Word]) -> None:
    """ "climbing up a mountain": nobody climbs the mountain up, he climbs, and up it."""
    verb = word.head
    if verb is None or verb.pos != "VERB":
        return
    first = min([word.i, *(c.i for c in word.children)])
    particle = words[first - 1]
    if particle.dep != "prt" or particle.head is not verb or particle.i != verb.i + 1:
        return
    base = wordnet.lemma(verb.low, "v", inflected=verb.tag != "VB")
    somewhere = wordnet.noun_kind(base_of(word)) == "scene"
    if wordnet.is_travel(base) or (somewhere and not wordnet.has(f"{base} {particle.low}", "v")):
        particle.dep, particle.pos = "prep", "ADP"
        word.moved(particle, "pobj")
