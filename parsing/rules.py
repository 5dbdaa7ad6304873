"""From words to a scene graph: the rules in the order in which they are applied."""

from __future__ import annotations

from itertools import product

from parsing import describing, lexicon, wordnet
from parsing.graph import Action, Attribute, Object, Relation, SceneGraph
from parsing.mend import mend
from parsing.mend_tree import after, before, infinitive
from parsing.naming import Phrase, noun_lemma
from parsing.nouns import Nouns, find_nouns, has_letter, is_denied, names_colour, what_lacks
from parsing.text import CleanText
from parsing.verbs import (
    Place,
    action_name,
    agent,
    base_form,
    is_done,
    is_order,
    is_passive,
    is_state_change,
    is_verb,
    objects,
    places,
    subjects,
)
from parsing.words import Word

VERSION = "10"
_SHADES = {"bright", "dark", "deep", "light", "pale"}
_QUALITIES = {
    "verb.cognition", "verb.communication", "verb.emotion", "verb.social", "verb.stative",
}  # fmt: skip
_USUAL = 0.15  # uses as an adjective for each as a verb that make it say how a thing is
_SAID = {"noun.attribute", "noun.cognition", "noun.communication", "noun.feeling"}
_OWN = ("det", "amod", "nummod", "poss")
_CAN_DESCRIBE = {"ADJ", "NOUN", "PROPN", "VERB"}


class Reader:
    """Reads one caption; spans lead back to its original characters."""

    def __init__(self, text: CleanText, words: list[Word]) -> None:
        mend(words)
        self.text = text
        self.words = words
        self.nouns: Nouns = find_nouns(words)

    def graph(self, caption: str, note: str | None) -> SceneGraph:
        """The whole scene graph, every part in reading order and without repetition."""
        actions, verb_relations = self.actions()
        graph = SceneGraph(
            caption=caption,
            objects=tuple(self.objects()),
            attributes=tuple(dict.fromkeys(self.attributes())),
            actions=tuple(dict.fromkeys(actions)),
            relations=tuple(dict.fromkeys([*self.noun_relations(), *verb_relations])),
            note=note,
        )
        for word in self.words:  # rings of words would wait for the garbage collector
            word.head, word.children = None, []
        return graph

    def objects(self) -> list[Object]:
        """Every named thing."""
        return [
            Object(p.name, *self.text.span(p.start, p.end), wordnet.noun_kind(p.name))
            for p in self.nouns.phrases.values()
        ]

    def attributes(self) -> list[Attribute]:
        """Adjectives before their noun, and those a verb says of its subject."""
        found: list[Attribute] = []
        for word in self.words:
            if word.pos not in _CAN_DESCRIBE or not _is_attribute(word):
                continue
            follows = after(word, self.words)
            if self.is_shade(word):
                continue
            if follows and (_says_of_what(word, follows) or _is_one_with(word, follows)):
                continue
            first = before(word, self.words)
            if first is None or not (
                self.is_shade(first)
                or _says_with_what(first, word)
                or _says_of_what(first, word)
                or _is_one_with(first, word)
            ):
                first = word
            name = _adjective(word) if first is word else f"{first.low} {_adjective(word)}"
            found += [
                Attribute(name, phrase.name, *self.text.span(first.start, word.end))
                for phrase in self.described(word)
            ]
        return found

    def is_shade(self, word: Word) -> bool:
        """ "light" in "light blue": one property, not two."""
        follows = after(word, self.words)
        return (
            word.low in _SHADES
            and follows is not None
            and follows.low not in _SHADES
            and wordnet.is_colour(follows.low)
        )

    def described(self, word: Word, depth: int = 0) -> list[Phrase]:
        """The things an adjective describes."""
        head = word.head
        if head is None or depth > 8:
            return []
        if word.dep == "conj" and _is_attribute(head, strict=False):
            return self.described(head, depth + 1)
        if word.dep == "advmod" and head.dep == "amod" and wordnet.is_colour(word.low):
            return self.described(head, depth + 1)  # "a green striped shirt"
        if word.dep == "amod" and head.pos == "ADJ" and head.dep in ("amod", "conj"):
            return self.described(head, depth + 1)  # "a black and brown furry dog"
        if word.dep in ("amod", "acl", "compound", "nmod", "appos"):
            # only its own noun: in "an aerial photo of a field" nothing in the picture is aerial
            phrase = self.nouns.owners.get(head.i)
            if phrase is None and word.i + 1 != head.i:
                follows = self.nouns.phrases.get(head.i - 1)  # "a gorgeous beach photo"
                own = follows is not None and follows.words[0].i == word.i + 1
                return [follows] if follows and own and follows.head.head is head else []
            if phrase is None or word in phrase.words:
                return []
            return [phrase, *self._bare_partners(phrase.head)]
        if word.pos == "ADJ" and (phrase := self._held_so(word)):
            return [phrase]
        if word.dep == "pobj" and head.low == "in":
            return subjects(head, self.nouns)  # "a man in red"
        if word.dep == "dobj":
            return subjects(head, self.nouns)  # "a woman wearing purple"
        if word.dep in ("acomp", "attr", "oprd", "xcomp") and not head.kids("neg"):
            if is_state_change(head):
                return []  # "falls asleep" is all verb
            things = [p for c in head.kids("dobj") for p in self.nouns.all_meant(c)]
            return things or subjects(head, self.nouns) or self._there_is(head)
        return []

    def _held_so(self, word: Word) -> Phrase | None:
        """ "with its mouth open": the adjective after what somebody has."""
        phrase = self.nouns.phrases.get(word.i - 1)
        if phrase is None or phrase.head.dep not in ("pobj", "nsubj"):
            return None
        return phrase if any(w.low == "with" for w in self._left(phrase)) else None

    def _left(self, phrase: Phrase) -> list[Word]:
        """The word before a phrase and its own modifiers."""
        own = [phrase.words[0].i, *(c.i for c in phrase.head.children if c.i < phrase.head.i)]
        return self.words[max(0, min(own) - 1) : min(own)]

    def _bare_partners(self, head: Word) -> list[Phrase]:
        """ "a red shirt and helmet": what follows without a word of its own shares the property."""
        found = [self.nouns.phrases.get(word.i) for word in head.kids("conj")]
        return [
            phrase
            for phrase in found
            if phrase and phrase.words[0].i > 0 and not phrase.head.kids(*_OWN)
            if self.words[phrase.words[0].i - 1].low == "and"
        ]

    def _there_is(self, verb: Word) -> list[Phrase]:
        return [p for c in verb.kids("attr") if (p := self.nouns.meant(c))]

    def actions(self) -> tuple[list[Action], list[Relation]]:
        """Verbs with their ends, and the relations they carry."""
        actions: list[Action] = []
        relations: list[Relation] = []
        for word in self.words:
            if not is_verb(word) or (word.dep == "amod" and _is_attribute(word)):
                continue
            if word.i in self.nouns.owners:
                continue  # "a sitting room"
            name = action_name(word)
            doers, things = subjects(word, self.nouns), objects(word, self.nouns)
            placed = doers
            if is_passive(word):
                placed = doers or things
                things = things or doers
                doers = agent(word, self.nouns)
            if name is None and is_done(word, doers):
                name = base_form(word)
            span = self.text.span(word.start, word.end)
            if name is not None:
                ends = product(_names(doers), _names(things))
                actions += [Action(name, doer, thing, *span) for doer, thing in ends]
            owns = name is None and base_form(word) == "have"
            if predicate := "have" if owns else name:
                pairs = [(a, b) for a, b in product(doers, things) if a is not b]
                relations += [Relation(predicate, a.name, b.name, *span) for a, b in pairs]
            # what somebody has somewhere is there: "has a tattoo on her shoulder"
            if not placed and is_order(word):  # "put a carpet on the stairs"
                relations += self.place_relations(word, None, things)
                continue
            relations += self.place_relations(word, name, things if owns else placed)
        return actions, relations

    def place_relations(self, word: Word, name: str | None, placed: list[Phrase]) -> list[Relation]:
        """(cat, lay in, suitcase): who does it, or to what it is done, and where."""
        span = self.text.span(word.start, word.end)
        found: list[Relation] = []
        for place in places(word, self.nouns):
            worn = place.words == "in" and not is_passive(word) and _all_worn(place.things)
            own = place.words == "with" and _all_own(place.things)
            said = name if name and not (worn or own) else ""
            if said.endswith(f" {place.words.split(' ')[0]}"):
                said = said.rsplit(" ", 1)[0]  # "pushes up, up towards"
            predicate = f"{said} {place.words}".strip()
            found += [
                Relation(predicate, a.name, b.name, *span)
                for a, b in product(placed, place.things)
                if a is not b
            ]
        return found

    def noun_relations(self) -> list[Relation]:
        """Prepositions on nouns, on "be", and possession."""
        found: list[Relation] = []
        for word in self.words:
            if not word.children:
                continue
            if word.pos in ("NOUN", "PROPN"):
                ends = self.nouns.all_meant(word)[:1]
            elif word.pos == "AUX" and not is_denied(word):
                ends = subjects(word, self.nouns) or self._there_is(word)
            else:
                continue
            span = self.text.span(word.start, word.end)
            for place in places(word, self.nouns):
                if place.words == "of" and word.i not in self.nouns.phrases:
                    continue  # "a picture of a dog and a cat": the dog is of no cat
                both = [*self._partner(word, place.things), *ends, *self._all_before(word, place)]
                found += [
                    Relation(place.words, a.name, b.name, *span)
                    for a, b in product(both, place.things)
                    if a is not b
                ]
            for owner in word.kids("poss"):
                owned = [*ends, *self._bare_partners(word)]  # "a man's hat and coat"
                found += [
                    Relation("have", a.name, b.name, *span)
                    for a, b in product(self.nouns.all_meant(owner), owned)
                ]
        return found

    def _all_before(self, word: Word, place: Place) -> list[Phrase]:
        """ "roses and tulips in a vase": said of the first, it is said of all before it."""
        first = place.things[0].words[0].i if place.things else -1
        joined = [one for one in word.conjuncts() if word.i < one.i < first]
        found = [self.nouns.meant(one) for one in joined]
        return [phrase for phrase in found if phrase is not None]

    def _partner(self, word: Word, where: list[Phrase]) -> list[Phrase]:
        """ "a boy and girl in shirts": what follows is said of both, where they are alike."""
        if word.dep != "conj" or word.head is None or not _bare(word.head, word):
            return []
        first, last = self.nouns.meant(word.head), self.nouns.meant(word)
        if first is None or last is None:
            return []
        alive = wordnet.is_living(first.name)
        somewhere = all(wordnet.noun_kind(thing.name) == "scene" for thing in where)
        alike = alive == wordnet.is_living(last.name) and (alive or somewhere)
        return [first] if alike else []


def _bare(first: Word, last: Word) -> bool:
    """Whether nothing is said of the first alone, nor of the second before it is named."""
    said = ("prep", "acl", "relcl", "appos", "amod", "poss")
    own = [c for c in last.children if c.i < last.i and c.dep in ("amod", "poss", "compound")]
    return (
        first.pos in ("NOUN", "PROPN")
        and not own
        and not any(c.i > first.i and c.dep in said for c in first.children)
    )


def _all_worn(phrases: list[Phrase]) -> bool:
    """ "a person biking in gloves" is in gloves, whatever he does."""
    return bool(phrases) and all(wordnet.is_worn(phrase.name) for phrase in phrases)


def _all_own(phrases: list[Phrase]) -> bool:
    """ "jumping with its mouth open": it has the mouth whatever it does."""
    return bool(phrases) and all(
        phrase.head.kids("poss") and not wordnet.is_living(phrase.name) for phrase in phrases
    )


def _names(phrases: list[Phrase]) -> list[str | None]:
    return [phrase.name for phrase in phrases] or [None]


def _is_attribute(word: Word, strict: bool = True) -> bool:
    """Adjectives, and participles before their noun that are adjectives in their own right."""
    low = word.low
    if word.pos == "ADJ" and (low[0].isdigit() or describing.is_ordinal(low)):
        return False
    if low in lexicon.noise("a") or not has_letter(low):
        return not strict and word.pos == "ADJ"
    if word.kids("neg") or any(c.low == "not" for c in word.children) or what_lacks(word):
        return False
    if word.pos == "ADJ":
        # "midair stunt": an adjective to the tagger, to WordNet only a noun
        return word.dep != "amod" or describing.is_adjective(low) or not wordnet.has(low, "n")
    if word.pos in ("NOUN", "PROPN"):
        if word.dep in ("pobj", "dobj"):
            return names_colour(word)
        if word.dep == "conj" and word.head is not None:  # "in white and gold"
            if word.head.pos == "ADJ" and word.head.dep == "amod":  # "a black and tan dog"
                return names_colour(word)
            worn = word.head.dep in ("pobj", "dobj")
            return worn and names_colour(word) and names_colour(word.head)
        if word.dep not in ("compound", "nmod", "amod"):
            return False
        bare = describing.is_adjective(low) and not wordnet.has(low, "n")
        return bare or wordnet.is_colour(low) or describing.is_material(low)
    return word.dep == "amod" and word.tag in ("VBN", "VBG") and _is_quality(word)


def _says_with_what(first: Word, word: Word) -> bool:
    """ "a snow covered mountain": covered with snow, not covered and snow."""
    own = first.head is word and first.pos in ("NOUN", "PROPN")
    return word.tag == "VBN" and word.dep == "amod" and own


def _says_of_what(first: Word, word: Word) -> bool:
    """ "short sleeved", "long haired": the sleeves are short, not the shirt."""
    if not word.low.endswith("ed") or word.dep != "amod" or first.pos != "ADJ":
        return False
    if first.head is word:  # but a "bright colored" ball is bright
        own = infinitive(word) is None or describing.is_of_a_part(word.low)
        return own and not wordnet.is_colour(first.low)
    return first.head is word.head and describing.is_of_a_part(word.low)


def _is_one_with(first: Word, word: Word) -> bool:
    """ "middle aged", "extra large": what WordNet writes with a hyphen."""
    plain = first.pos in ("ADJ", "ADV") and not wordnet.is_colour(first.low)
    return plain and word.pos in ("ADJ", "VERB") and wordnet.has(f"{first.low}-{word.low}", "a")


def _is_quality(word: Word) -> bool:
    """ "a stenciled wall", "a challenging maze", but "a smiling woman" smiles."""
    if word.tag == "VBN":
        return True
    if not wordnet.has(word.low, "a"):
        return False
    verb, thing = base_form(word), "" if word.head is None else noun_lemma(word.head)
    kind = wordnet.supersense(verb, "v")
    if wordnet.supersense(thing, "n") in _SAID or kind in _QUALITIES:
        return True
    # "a striking lamp", "a sloping road"; but what blooms, grows or opens does so
    often = wordnet.count(word.low, "a") > _USUAL * wordnet.count(verb, "v")
    often |= kind == "verb.motion" and describing.is_land(thing)  # "rolling hills" stay
    return often and kind != "verb.change" and not wordnet.is_living(thing)


def _adjective(word: Word) -> str:
    compared = word.tag in ("JJR", "JJS")
    return wordnet.lemma(word.low, "a", inflected=True) if compared else word.low
