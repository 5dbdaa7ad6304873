"""How far the name of a thing reaches: known names, compounds of nouns, what stays outside."""

from __future__ import annotations

from dataclasses import dataclass

from parsing import describing, lexicon, wordnet
from parsing.text import is_year
from parsing.words import Word

NATURAL = {"noun.food", "noun.animal", "noun.plant"}
"""Kinds of things that have names of their own by their colours."""
_NOMINAL = {"NOUN", "PROPN"}
_LONGEST = 4  # words of a name that the word lists are asked for
_COMPOUND = 3  # words of a compound that no list knows
_CALENDAR = {"gregorian_calendar_month.n.01", "day_of_the_week.n.01"}
_SEASONS = {
    "day.n.03", "day.n.04", "hour.n.02", "morning.n.01", "night.n.01", "season.n.02", "season.n.03",
}  # fmt: skip


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


def phrase_of(head: Word, words: list[Word]) -> Phrase:
    """The longest name ending at this head."""
    before = _left_of(head, words)
    known = _known_start(head, before)
    plain = _compound_start(before, head)
    size = max(known, min(plain, _COMPOUND - 1))
    if size > max(known, 1) and says_when(before[-size].low):
        # "summer fashion show": the show is in summer; "summer dress" is a name
        size -= not _known_pair(before[-size], before[-size + 1])
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


@wordnet.remembered
def says_when(low: str) -> bool:
    """Seasons, feasts and times of the day."""
    found = wordnet.senses(low, "n")[:1]
    return any(wordnet.above(sense) & _SEASONS for sense in found)


def _known_pair(first: Word, second: Word) -> bool:
    """ "real estate office", "hot dog stand": a name inside a name."""
    pairs = {f"{first.low} {second.low}", f"{first.low} {noun_lemma(second)}"}  # "martial arts"
    return not wordnet.is_colour(first.low) and any(_listed(pair) for pair in pairs)


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
        return first.dep != "compound" or wordnet.supersense(name, "n") not in NATURAL
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
    if word.pos == "PROPN" and not is_common(word):
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


def is_common(word: Word) -> bool:
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
