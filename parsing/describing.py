"""What describes a thing and what is part of its name: materials, adjectives with opposites."""

from __future__ import annotations

from parsing import lexicon, wordnet

_MATERIALS = {
    "alloy.n.01", "animal_material.n.01", "building_material.n.01", "ceramic.n.01", "fabric.n.01",
    "glass.n.01", "metallic_element.n.01", "paper.n.01", "plant_material.n.01", "plastic.n.01",
    "rock.n.02", "rubber.n.01",
}  # fmt: skip
_ABSTRACT = {"noun.cognition", "noun.communication", "noun.state"}
_REAL = {
    "noun.animal", "noun.artifact", "noun.body", "noun.food", "noun.object", "noun.phenomenon",
    "noun.plant", "noun.substance", "noun.time",
}  # fmt: skip
_LAND = {"geological_formation.n.01", "land.n.04", "way.n.06"}
_OWN_NAMES = {"noun.food", "noun.plant", "noun.time"}
_OF_A_KIND = ("al", "ary", "ic", "ive")
_LIKELY = 0.15  # the share of uses that makes a sense one that a caption may mean


@wordnet.remembered
def is_material(word: str) -> bool:
    """What things are made of, by the likely senses: brick, leather, wood; not water or dirt."""
    likely = zip(wordnet.senses(word, "n")[:2], wordnet.shares(word, "n"), strict=False)
    return any(wordnet.above(synset) & _MATERIALS for synset, share in likely if share >= _LIKELY)


@wordnet.remembered
def is_adjective(word: str) -> bool:
    """Listed as one, or built like one: "shirtless"."""
    return (
        wordnet.has(word, "a")
        or is_new(word)
        or (not wordnet.has(word, "n") and word.endswith(("less", "ful", "ish")))
    )


@wordnet.remembered
def is_ordinal(word: str) -> bool:
    """ "first", "tenth": adjectives that count."""
    near = (wordnet.sense(*link) for sense in wordnet.senses(word, "a") for link in sense.similar)
    return any(sense.name == "ordinal.a.02" for sense in near)


@wordnet.remembered
def has_opposite(adjective: str) -> bool:
    """Whether it says how something is, by a likely sense: "small", not "military" or "prime".

    Nor "public", "native": such endings say of what kind it is.
    """
    return not adjective.endswith(_OF_A_KIND) and any(
        s.opposed and not s.relational for s in wordnet.senses(adjective, "a")[:2]
    )


@wordnet.remembered
def merely_describes(adjective: str, name: str) -> bool:
    """Whether the name of several words says no more than its parts: "small boat", "hot water".

    So where the adjective has an opposite and the name is a kind of what its last word says, or
    where the name has only abstract senses though its last word is a thing. A "hot dog" is no dog,
    an "electric guitar" has no opposite, plants and dishes have names of their own.
    """
    known, heads = wordnet.senses(name, "n"), wordnet.senses(name.split(" ")[-1], "n")
    if not known or not heads:
        return False
    if not has_opposite(adjective) and not _made_of(adjective):
        return False
    if all(s.lexname in _ABSTRACT for s in known) and heads[0].lexname in _REAL:
        return True
    if known[0].lexname in _OWN_NAMES:
        return False
    over = {wordnet.sense(*link) for sense in known[:2] for link in sense.hypernyms}
    return not over.isdisjoint(heads)


@wordnet.remembered
def adds_nothing(name: str) -> bool:
    """A "clenched fist" means the same as a fist."""
    return wordnet.senses(name, "n")[:1] == wordnet.senses(name.split(" ")[-1], "n")[:1]


def _made_of(adjective: str) -> bool:
    """ "wooden", "woollen"."""
    stem = adjective.removesuffix("en")
    return stem != adjective and any(is_material(word) for word in (stem, stem[:-1]))


@wordnet.remembered
def is_of_a_part(word: str) -> bool:
    """ "haired", "sleeved", "legged": made of a part's name and "-ed", no verb's form."""
    as_verb = wordnet.count(wordnet.lemma(word, "v", inflected=True), "v")
    stems = (word[:-1], word[:-2], word[:-3] if word[-3:-2] == word[-4:-3] else "")
    return any(stem and wordnet.count(stem, "n") >= as_verb and _is_part(stem) for stem in stems)


def _is_part(noun: str) -> bool:
    found = wordnet.senses(noun, "n")[:1]
    return any(s.lexname == "noun.body" or wordnet.is_worn(noun) for s in found)


@wordnet.remembered
def is_land(noun: str) -> bool:
    """What does not move: a hill, a road; not a river."""
    found = wordnet.senses(noun, "n")[:1]
    return any(_LAND & wordnet.above(sense) for sense in found)


def is_new(word: str) -> bool:
    """An adjective that WordNet does not know as one."""
    return word in lexicon.lines("adjectives")
