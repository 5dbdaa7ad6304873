"""Noun phrases of a caption: which words name a thing, and how far the name reaches."""

from __future__ import annotations

from dataclasses import dataclass, field

from parsing import describing, lexicon, wordnet
from parsing.mend_tree import first_of
from parsing.picturable import is_idea
from parsing.text import is_year
from parsing.words import Word

_NOMINAL = {"NOUN", "PROPN"}
_LONGEST = 4  # words of a name that the word lists are asked for
_COMPOUND = 3  # words of a compound that no list knows
_NATURAL = {"noun.food", "noun.animal", "noun.plant"}
_NOBODY = {"nobody", "none", "nothing"}
_COLOURING = {"dress", "dye", "paint", "sport", "wear"}
_LACKING = {"devoid", "empty", "free"}
_CALENDAR = {"gregorian_calendar_month.n.01", "day_of_the_week.n.01"}


@dataclass(slots=True, eq=False)
class Phrase:
    """A named thing: `head` is its last word, `words` all words of the name."""

    head: Word
    words: list[Word]
    name: str

    @property
    def start(self) -> int:
        """First character of the name in the readable text."""
        return self.words[0].start

    @property
    def end(self) -> int:
        """One past the last character of the name."""
        return self.words[-1].end


@dataclass(slots=True)
class Nouns:
    """All phrases of a caption and how other words find them."""

    phrases: dict[int, Phrase]
    negated: set[int]
    owners: dict[int, Phrase] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Know for each word of a name whose it is: "a red [alarm] clock"."""
        self.owners = {w.i: p for p in self.phrases.values() for w in p.words}

    def meant(self, word: Word | None) -> Phrase | None:
        """The thing a noun stands for: itself, or what follows the "of" of "a group of"."""
        for _ in range(6):  # "a photo of a group of a lot of people" is deep enough
            if word is None or word.i in self.negated:
                return None
            if word.i in self.phrases:
                return self.phrases[word.i]
            word = of_what(word) or self._shown(word)
        return None

    def _shown(self, word: Word) -> Word | None:
        """ "a beach photo" shows the beach."""
        phrase = self.phrases.get(word.i - 1)
        return phrase.head if phrase is not None and phrase.head.head is word else None

    def all_meant(self, word: Word | None) -> list[Phrase]:
        """The thing and those coordinated with it, no more than eight."""
        if word is None:
            return []
        found = [self.meant(one) for one in word.conjuncts()]
        return [phrase for phrase in found if phrase is not None][:8]


def find_nouns(words: list[Word]) -> Nouns:
    """Read the phrases from right to left, so that a name swallows the words before its head."""
    negated = _negated(words)
    phrases: dict[int, Phrase] = {}
    taken: set[int] = set()
    for word in reversed(words):
        if word.pos not in _NOMINAL or word.i in taken or not _names_something(word):
            continue
        phrase = _phrase(word, words)
        taken.update(w.i for w in phrase.words)
        if word.i not in negated and _is_tag(phrase):
            phrases[word.i] = phrase
    return Nouns(dict(sorted(phrases.items())), negated)


def names_colour(word: Word) -> bool:
    """ "a man in red" says how he looks; "an orange", "oranges" are things."""
    if not wordnet.is_colour(word.low) or word.tag not in ("NN", "JJ", "NNP") or word.kids("det"):
        return False
    first = first_of(word)
    over = first.head.low if first.head is not None else ""
    thing = wordnet.supersense(word.low, "n") in _NATURAL  # first of all, as salmon and lavender
    # "cooks salmon", "a bed of lavender": only who wears it, or is in it, has its colour
    eaten = first.dep == "pobj" and over != "in"
    eaten |= first.dep == "dobj" and wordnet.lemma(over, "v", inflected=True) not in _COLOURING
    return not (thing and eaten)


def of_what(word: Word) -> Word | None:
    """The noun after "of": "group of people" -> people."""
    for prep in word.kids("prep"):
        if prep.low == "of" and (nouns := prep.kids("pobj")):
            return nouns[0]
    return None


def noun_lemma(word: Word) -> str:
    """Singular base form of one noun."""
    plural = word.tag in ("NNS", "NNPS")
    tie = word.model_lemma if plural else None
    return wordnet.lemma(word.low, "n", tie=tie, inflected=plural)


def _negated(words: list[Word]) -> set[int]:
    """Nouns the caption says are not there: "no people", "without a hat or a coat"."""
    found: set[int] = set()
    for word in words:
        starts: list[Word] = []
        if word.low in ("no", "neither") and word.dep in ("det", "neg", "preconj") and word.head:
            starts = [word.head]
        elif thing := what_lacks(word):  # "a road free of snow"
            starts = [thing]
        elif word.low in ("without", "minus", "lacking"):
            starts = word.kids("pobj", "dobj", "pcomp")
        elif word.pos in ("VERB", "AUX") and is_denied(word):
            starts = word.kids("dobj", "attr")
        for start in starts:
            for noun in start.conjuncts():
                inner = of_what(noun)
                found.update(n.i for n in (noun, inner) if n is not None)
    return found


def is_denied(verb: Word) -> bool:
    """Whether a verb says what is not: "is not wearing", "nobody is sitting", "no one stands"."""
    return bool(verb.kids("neg")) or any(
        c.low in _NOBODY or (c.low == "one" and any(d.low == "no" for d in c.children))
        for c in verb.kids("nsubj", "nsubjpass")
    )


def what_lacks(word: Word) -> Word | None:
    """ "free of snow", "devoid of people": the quality is that the thing is not there."""
    return of_what(word) if word.low in _LACKING and word.pos == "ADJ" else None


def _names_something(word: Word) -> bool:
    if not has_letter(word.low):
        return False
    if word.pos == "PROPN" and not _common(word):
        return False
    if word.dep == "amod" and describing.is_material(word.low):
        return False
    if not wordnet.has(noun_lemma(word), "n") and wordnet.has(word.low, "r"):
        return False  # "onstage", "indoors"
    if word.low == "mine" and not word.children:
        return False  # "a friend of mine"
    if word.dep not in ("compound", "nmod") or not word.head or not _inside_name(word, word.head):
        return True
    # "a beach photo" shows a beach
    return noun_lemma(word.head) in lexicon.noise("n") and not wordnet.has(
        f"{word.low} {word.head.low}", "n"
    )


def _inside_name(word: Word, head: Word) -> bool:
    """A modifier noun belongs to the name of its head if that comes right after it."""
    between = [w for w in head.children if word.i < w.i < head.i]
    return word.i < head.i and word.i + len(between) + 1 >= head.i and head.pos in _NOMINAL


def _common(word: Word) -> bool:
    """Whether a word tagged as a name is a common noun after all: "umbrella", "a Dalmatian"."""
    base = wordnet.lemma(word.low, "n")
    found = wordnet.senses(base, "n")
    if not found or wordnet.is_name(base) or _CALENDAR & wordnet.above(found[0]):
        return False
    if word.text[0].islower() or word.i == 0:
        return True
    article = any(
        c.low in ("a", "an") or (c.dep == "nummod" and not is_year(c.low))
        for c in word.kids("det", "nummod")
    )  # a "1967 Mustang" is not counted
    # "the purple Frisbee" is described, "the White House" is called so
    described = any(c.text.islower() for c in word.kids("amod"))
    return article or described or word.tag == "NNPS"


def _is_tag(phrase: Phrase) -> bool:
    """Noise words, mere quantities and names of individuals give no tag."""
    head = phrase.head
    if _is_no_thing(phrase.name):
        return False
    if len(phrase.words) > 1:
        if noun_lemma(head) in lexicon.quantities() and of_what(head) is not None:
            return False  # "a rusting piece of metal"
        return not all(noun_lemma(w) in lexicon.noise("n") for w in phrase.words)
    if names_colour(head):
        return False
    base = noun_lemma(head)
    if _is_time(head.low):
        return False
    if not _is_quantity(base, head.low):
        return not _is_noise(base, head.low)
    inner = of_what(head)
    if inner is None and _looks_like_a_thing(head):
        return True
    if not {base, head.low} & lexicon.stand_alone():
        return False
    if inner is None:
        return True  # "on the set", but "a set of icons" is icons
    return not _is_noise(base, head.low) and _works_for(base, noun_lemma(inner))


@wordnet.remembered
def has_letter(low: str) -> bool:
    """Whether there is a letter in a word; "1960s" is a number."""
    return any(c.isalpha() for c in low) and not (low[:1].isdigit() and low.endswith("0s"))


@wordnet.remembered
def _is_no_thing(name: str) -> bool:
    return len(name) < 2 or wordnet.is_name(name) or is_idea(name)


@wordnet.remembered
def _is_time(low: str) -> bool:
    """ "today": an adverb, too."""
    return wordnet.has(low, "r") and wordnet.supersense(low, "n") == "noun.time"


@wordnet.remembered
def _is_quantity(base: str, low: str) -> bool:
    return bool({base, low} & lexicon.quantities())


@wordnet.remembered
def _is_noise(base: str, low: str) -> bool:
    unit = wordnet.is_unit(base) and wordnet.noun_kind(base) != "scene"
    return unit or bool({base, low} & lexicon.noise("n"))


def _works_for(group: str, whole: str) -> bool:
    """ "the crew of a ship" is people; "a couple of people" only counts them."""
    return wordnet.is_social(group) and not wordnet.is_living(whole)


def _looks_like_a_thing(head: Word) -> bool:
    """ "in a white top" is worn, "on his back" is a part of him."""
    coloured = any(wordnet.is_colour(c.low) for c in head.kids("amod"))
    return coloured or (head.low == "back" and bool(head.kids("poss")))


def _phrase(head: Word, words: list[Word]) -> Phrase:
    """The longest name ending at this head."""
    before = _left_of(head, words)
    known = _known_start(head, before)
    plain = _compound_start(before, head)
    size = max(known, min(plain, _COMPOUND - 1))
    if 0 < size < len(before) and _known_pair(before[-size - 1], before[-size]):
        size += 1
    inside = before[len(before) - size :] if size else []
    base = noun_lemma(head)
    noisy = base in lexicon.noise("n") and not known
    if noisy and plain and base in lexicon.quantities() and of_what(head) is None:
        noisy = False  # "a swing set" is a thing, though "a set of swings" is swings
    if noisy:  # "sunset background" shows a sunset: the noise word steps aside
        inside = []
    return Phrase(head, [*inside, head], _joined([*inside, head]))


def _known_pair(first: Word, second: Word) -> bool:
    """ "real estate office", "hot dog stand": a name inside a name."""
    return not wordnet.is_colour(first.low) and _listed(f"{first.low} {second.low}")


def _left_of(head: Word, words: list[Word]) -> list[Word]:
    """The unbroken run of modifiers that ends just before the head."""
    run: list[Word] = []
    for i in range(head.i - 1, max(-1, head.i - 8), -1):
        word = words[i]
        if word.dep not in ("compound", "amod", "nmod", "advmod", "nummod"):
            break
        if not word.under(head):
            break
        run.insert(0, word)
    return run


def _known_start(head: Word, before: list[Word]) -> int:
    """How many words before the head belong to a name that a word list knows; 0 if none."""
    for size in range(min(len(before), _LONGEST + 1), 0, -1):
        part = before[-size:]
        name = _joined([*part, head])
        if _listed(name) and not _free_adjective(part, head, name):
            return size
    return 0


@wordnet.remembered
def _listed(name: str) -> bool:
    spellings = {name, name.replace("-", " "), name.replace("-", "")}
    return any(s in lexicon.compounds() or wordnet.has(s, "n") for s in spellings)


def _free_adjective(part: list[Word], head: Word, name: str) -> bool:
    """ "little girl" and "red wine" are in WordNet, but say: a girl, little; a wine, red."""
    first = part[0]
    if name in lexicon.compounds():
        return False
    if wordnet.is_colour(first.low):
        # "orange juice" is one thing, "white house" hardly ever the one with a capital letter
        return first.dep != "compound" or wordnet.supersense(name, "n") not in _NATURAL
    if first.pos == "ADJ" and first.text.islower() and wordnet.is_name(name):
        return True  # "wooden horse", "great lakes": names only with capitals
    if first.pos == "ADJ" and wordnet.supersense(noun_lemma(head), "n") == "noun.body":
        return True  # "right hand", "hind leg", "human head"
    plain = first.pos == "ADJ" and first.low not in lexicon.noise("a")
    if plain and describing.merely_describes(first.low, name):
        return True
    if first.pos in ("ADJ", "VERB") and describing.adds_nothing(name):
        return True
    # "big fish" is listed, too: as an important person
    kinds = {synset.lexname for synset in wordnet.senses(name, "n")}
    human = {"noun.person", "noun.group"}
    person = wordnet.supersense(noun_lemma(head), "n") in human or (bool(kinds) and kinds <= human)
    says_how = describing.has_opposite(first.low) or noun_lemma(head) == "person"
    return first.pos == "ADJ" and person and says_how  # a "prime minister" is not prime


def _compound_start(before: list[Word], head: Word) -> int:
    """How many words before the head are nouns of its compound."""
    size = 0
    made = wordnet.supersense(noun_lemma(head), "n") == "noun.artifact"
    for word in reversed(before):
        if not _belongs(word) or (made and describing.is_material(word.low)):
            break
        if word.low == head.low:  # "person person": two of them
            break
        size += 1
    return size


def _belongs(word: Word) -> bool:
    noun, adjective = wordnet.has(noun_lemma(word), "n"), describing.is_adjective(word.low)
    if word.dep == "amod":
        return noun and not adjective and word.tag in ("JJ", "NN")
    if word.dep not in ("compound", "nmod") or word.pos not in _NOMINAL:
        return False
    if adjective and not noun:
        return False  # "shirtless man", whatever the tag says
    if word.pos == "PROPN" and not _common(word):
        return False
    if wordnet.is_unit(noun_lemma(word)) and not _money(word.low):
        return False  # "inch"
    return not wordnet.is_colour(word.low) and noun_lemma(word) not in lexicon.noise("n")


def _money(low: str) -> bool:
    found = wordnet.senses(low, "n")[:1]  # "euro coins"
    return any("monetary_unit.n.01" in wordnet.above(sense) for sense in found)


def _joined(part: list[Word]) -> str:
    """The name in lemma form; "northern lights" are no light."""
    if len(part) == 1:
        return noun_lemma(part[0])
    said = " ".join(word.low for word in part)
    before = [word.low for word in part[:-1]]  # "sports bike" has the "s" for good
    name = " ".join([*before, noun_lemma(part[-1])])
    if name == said or wordnet.has(name, "n") or wordnet.is_name(said):
        return name
    return said if wordnet.has(said, "n") else name
