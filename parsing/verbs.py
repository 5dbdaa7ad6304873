"""Who does what to whom, and what is where: actions and relations read from the tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from parsing import lexicon, wordnet
from parsing.mend_others import LINKING
from parsing.naming import Phrase, noun_lemma, of_what
from parsing.nouns import Nouns, is_denied
from parsing.picturable import is_time
from parsing.words import Word

_SUBJECTS = ("nsubj", "nsubjpass", "csubj")
_LIFELESS = {"noun.artifact", "noun.body", "noun.food", "noun.location"}
_HAPPENING = {"noun.act", "noun.event"}
_WHEN = {"during", "following", "after", "before", "since", "until", "till"}
_SUPPORT = {"begin", "continue", "keep", "prepare", "start", "use"}
_SHOWING = {"depict", "feature", "illustrate", "photograph", "represent", "show"}
_SEEING = {"see", "view"}  # no picture does
_TOWARDS = {
    "across", "ahead", "along", "alongside", "apart", "away", "back", "close", "down", "far", "in",
    "inside", "near", "next", "off", "on", "opposite", "out", "outside", "over", "together", "up",
}  # fmt: skip
_MOVING = {"verb.contact", "verb.motion", "verb.stative"}
_TURNS = {"apart", "away", "back", "by", "down", "in", "off", "on", "out", "up"}
_HIS = {"her", "his", "their"}
_RELATIVE = {"who", "which", "that", "whom"}


@dataclass(frozen=True, slots=True)
class Place:
    """A preposition with the things it leads to: "next to" -> [pillow]."""

    words: str
    things: list[Phrase]


def is_verb(word: Word) -> bool:
    """A verb with a meaning of its own: no auxiliary, no "be"; a negated one names nothing."""
    if word.pos not in ("VERB", "AUX") or word.dep in ("aux", "auxpass", "prep"):
        return False  # "following the premiere"
    if word.dep == "amod" and not wordnet.has(base_form(word), "v"):
        return False  # "bare chested"
    return word.pos == "VERB" and not is_denied(word) and not _is_taken_of_it(word)


def _is_taken_of_it(word: Word) -> bool:
    """ "a view of the house taken from a roof": the picture is, not the house."""
    if word.low != "taken" or word.kids("prt", "aux"):
        return False
    done_to = word.kids("nsubjpass")
    of_picture = any(noun_lemma(noun) in lexicon.noise("n") for noun in done_to)
    return of_picture or not word.kids("auxpass", "nsubjpass", "dobj")


def action_name(word: Word) -> str | None:
    """Base form, with its particle where that changes the meaning: "take off", but "sit"."""
    base = base_form(word)
    if base == "take" and any(noun_lemma(c) in lexicon.noise("n") for c in word.kids("dobj")):
        return None  # "taking pictures"
    if base == "close" and any(c.low == "up" for c in word.kids("prt", "advmod", "prep")):
        return None  # "close up of a dog"
    if len(base) < 2 or base in lexicon.noise("v") or not base.replace("-", "").isalpha():
        return None
    state = next((c for c in word.kids("acomp", "oprd") if c.pos == "ADJ"), None)
    if state is not None and is_state_change(word):
        return f"{base} {state.low}"
    if state is not None and base in LINKING:
        return None
    if base == "look" and any(c.low == "like" for c in word.kids("prep")):
        return None  # as "is like"
    for particle in _particles(word):
        phrasal = f"{base} {particle.low}"
        own, plain = wordnet.senses(phrasal, "v"), wordnet.senses(base, "v")
        # "sit down" is sitting, as "jump off" is jumping; "cool off" is more than being cool
        if own and not (set(own) & set(plain) and plain[0].lexname in _MOVING):
            return phrasal
    return base


def _particles(word: Word) -> list[Word]:
    """ "cools off": the tagger calls some of them adverbs."""
    beside = [c for c in word.kids("advmod") if c.i == word.i + 1 and c.low in _TURNS]
    return [*word.kids("prt"), *beside]


def is_done(word: Word, doers: list[Phrase]) -> bool:
    """Whether a verb of the noise list says more here than that the picture shows something."""
    base = base_form(word)
    if base in _SUPPORT:
        return bool(word.kids("dobj")) and not word.kids("xcomp", "advcl")
    if base in ("appear", "get"):
        return bool(word.kids("prep")) and not word.kids("acomp", "xcomp", "oprd", "dobj", "attr")
    alive = bool(doers) and all(wordnet.is_living(doer.name) for doer in doers)
    # a sculpture may show something, but a map is a picture
    thing = bool(doers) and base != "feature" and not any(_is_picture(d.name) for d in doers)
    done = base in _SEEING or (base in _SHOWING and (alive or thing))
    return done and bool(word.kids("dobj")) and not is_passive(word)


def _is_picture(name: str) -> bool:
    kinds = ("noun.communication", "noun.cognition")
    return any(wordnet.supersense(part, "n") in kinds for part in (name, name.split(" ")[-1]))


def base_form(word: Word) -> str:
    """The verb's infinitive."""
    if word.low == "lay" and word.kids("dobj"):
        return "lay"  # "lay flowers": nobody lies something
    inflected = word.tag not in ("VB", "VBP")
    return wordnet.lemma(word.low, "v", tie=word.model_lemma, inflected=inflected)


def is_state_change(word: Word) -> bool:
    """Verb and adjective that WordNet knows as one verb: "fall asleep", "come alive"."""
    base = base_form(word)
    if base == "be":
        return False  # "is full" is listed, but says what it is like
    return any(wordnet.has(f"{base} {c.low}", "v") for c in word.kids("acomp", "oprd"))


def subjects(word: Word, nouns: Nouns, depth: int = 0) -> list[Phrase]:
    """Who does it: own subject, else the noun it modifies, else that of the verb above."""
    if depth > 8:  # the tree is finite, a caption's sense of it ends sooner
        return []
    for subject in word.kids(*_SUBJECTS):
        if subject.low in _RELATIVE and word.dep == "relcl":
            return _modified(word, nouns)
        if subject.low == "there":
            continue
        return nouns.all_meant(subject)
    if word.dep in ("acl", "relcl", "amod"):
        if word.dep == "relcl" and word.head and word.head.pos in ("VERB", "AUX"):
            return []
        return _modified(word, nouns)
    if word.head is None:
        # "two dogs, running": a fragment's verb may carry its noun in other places
        return [p for c in word.kids("npadvmod", "dep") if (p := nouns.meant(c))][:1]
    if word.dep in ("conj", "xcomp", "advcl", "ccomp", "pcomp", "prep", "dep", "acomp", "attr"):
        if word.head.pos in ("NOUN", "PROPN"):
            verb = _verb_above(word.head) if word.dep == "conj" else None
            found = subjects(verb, nouns, depth + 1) if verb else nouns.all_meant(word.head)
            before = [p for p in found if p.head.i < word.i]  # "a man in red and a woman in blue"
            return (before if word.dep == "prep" else []) or found
        return subjects(word.head, nouns, depth + 1) or _shown(word.head, nouns)
    return []


def _shown(verb: Word, nouns: Nouns) -> list[Phrase]:
    """ "image may contain: dog, sitting": who is in the picture sits, not the picture."""
    if base_form(verb) not in lexicon.noise("v"):
        return []
    things = [thing for c in verb.kids("dobj") for thing in nouns.all_meant(c)]
    return [thing for thing in things if wordnet.is_living(thing.name)]


def _modified(word: Word, nouns: Nouns) -> list[Phrase]:
    """The noun a participle or relative clause describes, through "a group of people sitting"."""
    if word.head is None:
        return []
    doer = word.head
    if word.dep == "acl" and (word.tag == "VBG" or _being_done_there(word, nouns)):
        nearest = nouns.phrases.get(word.i - 1)
        own = nearest is not None and all(nearest.head is not one for one in doer.conjuncts())
        if word.low == "overlooking":
            return nouns.all_meant(doer)  # as a garden does
        if nearest is not None and own and wordnet.is_living(nearest.name):
            return [nearest]  # "a man holding a baby wearing a hat"
        doer = _alive(doer, nouns, bool(word.kids("dobj"))) or doer
        if _takes_somebody(word):
            doer = _wearer(doer, nouns) or doer
    elif word.kids("dobj") and any(aux.low == "to" for aux in word.kids("aux")):
        doer = _alive(doer, nouns, True) or doer  # "comes out of the goal to steal the puck"
    return [*_doing_it_too(word, doer, nouns), *nouns.all_meant(doer)]


def _takes_somebody(word: Word) -> bool:
    """ "in a parade wearing a hat", "against a tree looking up", "over a log carrying his bike"."""
    base, things = base_form(word), word.kids("dobj")
    sees = wordnet.supersense(base, "v") == "verb.perception" and not things
    return sees or base == "wear" or any(o.low in _HIS for c in things for o in c.kids("poss"))


def _doing_it_too(word: Word, doer: Word, nouns: Nouns) -> list[Phrase]:
    """ "two girls and a boy dancing": all dance, if nothing else is said of the first."""
    found: list[Phrase] = []
    if word.tag != "VBG" or word.dep != "acl" or doer is not word.head:
        return found
    worn = any(c.tag == "NN" and wordnet.is_worn(noun_lemma(c)) for c in word.kids("dobj"))
    while not worn and doer.dep == "conj" and doer.head is not None:
        doer = doer.head
        phrase = nouns.phrases.get(doer.i)
        said = ("prep", "acl", "relcl", "appos")
        if phrase is None or not wordnet.is_living(phrase.name):
            break
        if any(c.i > doer.i for c in doer.kids(*said)):
            break
        found.insert(0, phrase)
    return found


def _wearer(noun: Word, nouns: Nouns) -> Word | None:
    """The next one above that can wear something: a person, an animal, a team."""
    word: Word | None = noun
    for _ in range(6):
        if word is None:
            return None
        thing = nouns.meant(word)
        if thing is not None and (wordnet.is_living(thing.name) or wordnet.is_social(thing.name)):
            return word
        if word.pos == "VERB":
            found = subjects(word, nouns)
            return found[0].head if found and wordnet.is_living(found[0].name) else None
        word = word.head
    return None


def _being_done_there(word: Word, nouns: Nouns) -> bool:
    """ "a boy at a pool being sprayed": it is not the pool that is."""
    place = nouns.meant(word.head)
    being = any(aux.low == "being" for aux in word.kids("auxpass"))
    return being and place is not None and wordnet.noun_kind(place.name) == "scene"


def _verb_above(noun: Word) -> Word | None:
    """ "eats pizza and drinks milk": "drinks" hangs on pizza, but shares the eater."""
    return noun.head if noun.dep == "dobj" else None


def _alive(noun: Word, nouns: Nouns, to_something: bool) -> Word | None:
    """ "a boy in a t-shirt riding": a lifeless thing does nothing, who wears or holds it does.

    Nor does an event do anything to something: "makes a jump wearing a suit".
    """
    word: Word | None = noun
    for _ in range(4):
        if word is None or not _lifeless(word, nouns, to_something):
            return _driver(word, nouns) or word
        over = word.head
        if over is not None and over.dep in ("prep", "agent"):
            over = over.head
        if over is not None and over.pos == "VERB":
            found = subjects(over, nouns)
            over = found[0].head if found else None
        word = over
    return None


def _driver(vehicle: Word | None, nouns: Nouns) -> Word | None:
    """ "a boy on a bike jumping": who is on it, not what he is on."""
    prep = vehicle.head if vehicle is not None and vehicle.dep == "pobj" else None
    phrase = nouns.meant(prep.head) if prep is not None and prep.low in ("in", "on") else None
    return prep.head if prep and phrase and wordnet.is_living(phrase.name) else None


def _lifeless(word: Word, nouns: Nouns, to_something: bool) -> bool:
    phrase = nouns.meant(word)
    if phrase is None or word.pos not in ("NOUN", "PROPN") or wordnet.is_worn(phrase.name):
        return True
    last = phrase.name.split(" ")[-1]
    found = (
        wordnet.senses(phrase.name, "n")
        or wordnet.senses(last, "n")
        or wordnet.senses(wordnet.lemma(last, "n", inflected=True), "n")  # "headphones"
    )
    if not found or "conveyance.n.03" in wordnet.above(found[0]):
        return False
    return found[0].lexname in _LIFELESS or (to_something and found[0].lexname in _HAPPENING)


def objects(word: Word, nouns: Nouns) -> list[Phrase]:
    """To what it is done: the direct object, or what the relative clause describes."""
    for thing in word.kids("dobj", "obj", "dative", "pobj"):
        if thing.low in _RELATIVE:
            return _modified(word, nouns)
        return nouns.all_meant(thing)
    own = word.kids("nsubj", "csubj")
    where = any(c.low in ("where", "when", "why") for c in word.kids("advmod"))
    # "the house in which he lives": it is where he does
    where = where or any(p.low in _RELATIVE for c in word.kids("prep") for p in c.kids("pobj"))
    if word.dep == "relcl" and own and own[0].low not in _RELATIVE and not where:
        return _modified(word, nouns)  # "the ball the dog chases"
    return []


def is_passive(word: Word) -> bool:
    """ "are parked", and the bare participle: "bus parked on the street", "fish served by him"."""
    if word.kids("auxpass", "nsubjpass"):
        return True
    if word.tag not in ("VBN", "VBD") or word.kids("aux"):
        return False
    if word.low == base_form(word) and wordnet.is_travel(word.low):
        return False  # "three children run by the water": nobody is run
    if (word.tag == "VBN" and word.dep in ("acl", "amod")) or _is_done_to_it(word):
        return True
    clause = word.tag == "VBN" and word.dep in ("ROOT", "conj", "advcl", "pcomp", "ccomp")
    return bool(word.kids("agent") or clause) and not word.kids("dobj")


def _is_done_to_it(word: Word) -> bool:
    """ "shelves recessed into the wall": a past form of a verb that always needs an object."""
    done_by = [c for c in word.kids("nsubj") if c.pos in ("NOUN", "PROPN")][-1:]
    if word.tag != "VBD" or not (word.dep == "acl" or (word.dep == "ROOT" and done_by)):
        return False
    if word.kids("dobj", "acomp", "ccomp", "xcomp", "oprd", "dative", "attr", "advcl"):
        return False
    base = noun_lemma(done_by[0]) if done_by else ""
    acting = wordnet.is_living(base) or wordnet.supersense(base, "n") == "noun.group"
    return wordnet.needs_object(base_form(word), 4 if acting or not base else 1)


def is_order(word: Word) -> bool:
    """A verb that nobody is said to do: "add a carpet", "how to grow a sunflower"."""
    return not is_passive(word) and not word.kids(*_SUBJECTS)


def agent(word: Word, nouns: Nouns) -> list[Phrase]:
    """Who does it in a passive clause: "held by a man"."""
    for by in word.kids("agent"):
        for noun in by.kids("pobj"):
            return nouns.all_meant(noun)
    return []


def places(word: Word, nouns: Nouns) -> Iterator[Place]:
    """The prepositions that hang on a word and where each leads."""
    if not word.children:
        return
    by = () if is_passive(word) else ("agent",)
    for child in word.kids("prep", "advmod", "prt", "dative", *by):
        if child.pos in ("ADV", "ADJ") and child.low not in _TOWARDS:
            for inner in child.kids("prep"):  # "performs live on stage" is on stage
                yield from _follow(inner, [], nouns)
        else:
            yield from _follow(child, [], nouns)


def _follow(word: Word, before: list[str], nouns: Nouns) -> Iterator[Place]:
    """Walk "next" -> "to" -> pillow and "in" -> "front" -> "of" -> table."""
    said = [*before, word.low]
    if len(said) > 6 or word.low == "than" or (word.low in _WHEN and not before):
        return
    if word.low == "including":
        return  # what follows is part of it, not beside it
    for inner in word.kids("prep"):
        yield from _follow(inner, said, nouns)
    for noun in word.kids("pobj"):
        whole = of_what(noun)
        phrase = " ".join([*said, noun.low, "of"])
        if whole is not None and phrase in lexicon.prepositions():
            yield Place(phrase, _placed(whole, nouns))
        else:
            yield Place(" ".join(said), _placed(noun, nouns))


def _placed(noun: Word, nouns: Nouns) -> list[Phrase]:
    """Where, not when: "at night" is no place."""
    if noun.low in _RELATIVE:  # "a table on which a cat is sleeping"
        clause = noun.head.head if noun.head else None
        above = clause.head if clause is not None and clause.dep == "relcl" else None
        return nouns.all_meant(above) if above is not None else []
    return [p for p in nouns.all_meant(noun) if not is_time(p.name)]
