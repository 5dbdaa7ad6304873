"""A parsed caption as plain words: what the rules read instead of the language model's objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Lemmatize = Callable[[int], str]
"""A token's number -> its base form in the language model's opinion."""
_COLUMNS = ["IDX", "LENGTH", "POS", "TAG", "DEP", "HEAD"]
# spaCy's own rules from tags to parts of speech take a sixth of the time; these are all we need.
POS_OF_TAG = {
    "NN": "NOUN", "NNS": "NOUN", "NNP": "PROPN", "NNPS": "PROPN",
    "VB": "VERB", "VBD": "VERB", "VBG": "VERB", "VBN": "VERB", "VBP": "VERB", "VBZ": "VERB",
    "JJ": "ADJ", "JJR": "ADJ", "JJS": "ADJ", "AFX": "ADJ",
    "RB": "ADV", "RBR": "ADV", "RBS": "ADV",
    "IN": "ADP", "RP": "ADP", "MD": "AUX", "UH": "INTJ", "FW": "X", "XX": "X",
}  # fmt: skip
"""Penn Treebank tags; the rules do not look at what is missing."""
_BE = {"be", "is", "are", "am", "was", "were", "been", "being", "'s", "'re", "'m"}
_AUXILIARY = {"aux", "auxpass"}
_SOMEONE = {
    some + one for some in ("some", "any", "every", "no") for one in ("thing", "body", "one")
}
_SOMEONE |= {"none", "one"}
_NAMES: dict[int, str] = {}  # a hundred names for ever; spaCy's own table is slow to ask


@dataclass(slots=True, eq=False)
class Word:
    """One token; `head` and `children` are the dependency tree, mutable so that rules can mend.

    `low` is the text in lower case; `token` the number that the language model knows it by.
    """

    i: int
    text: str
    low: str
    start: int
    end: int
    pos: str
    tag: str
    dep: str
    token: int
    lemmatize: Lemmatize
    before: str = ""
    head: Word | None = None
    children: list[Word] = field(default_factory=list)

    def model_lemma(self) -> str:
        """Ask the language model, which takes its time."""
        return self.before + self.lemmatize(self.token)

    def kids(self, *deps: str) -> list[Word]:
        """Children with one of these dependencies, in reading order."""
        children = self.children
        return [child for child in children if child.dep in deps] if children else []

    def moved(self, head: Word | None, dep: str) -> None:
        """Hang this word on another head; one that hangs below it takes its place first."""
        if head is self:
            return
        if head is not None and head.under(self):
            head.moved(self.head, self.dep)  # a ring would never end
        if self.head is not None:
            self.head.children.remove(self)
        self.head, self.dep = head, dep
        if head is not None:
            head.children.append(self)
            head.children.sort(key=lambda word: word.i)

    def conjuncts(self) -> Iterator[Word]:
        """This word and what is coordinated with it: red, white and blue."""
        if not self.children:
            yield self
            return
        pending = [self]
        while pending:
            word = pending.pop(0)
            yield word
            pending += word.kids("conj")

    def under(self, other: Word) -> bool:
        """Whether this word hangs, at any depth, on the other."""
        head = self.head
        while head is not None:
            if head is other:
                return True
            head = head.head
        return False


def read_doc(doc: Any, text: str, lemmatize: Callable[[Any], str]) -> list[Word]:
    """A spaCy document as words; `text` is what it was made of."""

    def of_token(i: int) -> str:
        return lemmatize(doc[i])

    strings, rows = doc.vocab.strings, doc.to_array(_COLUMNS).tolist()
    words = []
    for i, (start, size, pos, tag, dep, _) in enumerate(rows):
        end = start + size
        own = text[start:end]
        low, tag_name, dep_name = own.lower(), _name(strings, tag), _name(strings, dep)
        part = _name(strings, pos) if pos else _part_of_speech(low, tag_name, dep_name)
        words.append(Word(i, own, low, start, end, part, tag_name, dep_name, i, of_token))
    for word, row in zip(words, rows, strict=True):
        if jump := row[5]:
            # the head's place counts from the word's own, as an unsigned number
            word.head = words[word.i + (jump if jump < 2**63 else jump - 2**64)]
            word.head.children.append(word)  # tokens come in reading order, so children do too
    return _hyphenated(words, text) if "-" in text else words


def _part_of_speech(low: str, tag: str, dep: str) -> str:
    part = POS_OF_TAG.get(tag, "")
    if part == "VERB" and (dep in _AUXILIARY or low in _BE):
        return "AUX"
    if part == "NOUN" and low in _SOMEONE:
        return "PRON"
    return "PART" if part == "ADV" and dep == "neg" else part


def _name(strings: Any, code: int) -> str:
    """The name of a part of speech, tag or dependency."""
    if code not in _NAMES:
        _NAMES[code] = strings[code] if code else ""
    return _NAMES[code]


def _hyphenated(words: list[Word], text: str) -> list[Word]:
    """ "snow-covered" as one word: the model reads three, and the rules would see snow."""
    merged: list[Word] = []
    for word in words:
        before = merged[-2:]
        if len(before) == 2 and _glued(before[0], before[1], word, text):
            first = before[0]
            _absorb(first, [merged.pop(), word], text)
        else:
            merged.append(word)
    for i, word in enumerate(merged):
        word.i = i
    return merged


def _glued(first: Word, hyphen: Word, last: Word, text: str) -> bool:
    touching = first.end == hyphen.start and hyphen.end == last.start
    return hyphen.text == "-" and touching and text[first.end - 1].isalnum() and last.text.isalnum()


def _absorb(first: Word, others: list[Word], text: str) -> None:
    """Make `first` the whole word; the last part says what it is."""
    parts = [first, *others]
    outer = next((w for w in reversed(parts) if w.head is None or w.head not in parts), others[-1])
    head, dep, last = outer.head, outer.dep, others[-1]
    number = first.tag == "CD" or first.low[0].isdigit()
    for part in others:
        for child in list(part.children):
            if child not in parts:
                child.moved(first, child.dep)
        part.moved(None, part.dep)
    first.moved(None if head in parts else head, dep)
    first.text = text[first.start : last.end]
    first.low = first.text.lower()
    first.end, first.tag, first.pos = last.end, last.tag, last.pos
    first.before = text[first.start : last.start].lower() + last.before
    first.token = last.token
    kind = dep in ("compound", "nmod", "nummod", "amod")
    if number and kind and last.pos in ("NOUN", "PROPN"):  # "a 3-bedroom house"
        first.pos, first.tag, first.dep = "NUM", "CD", "nummod"
    elif dep == "amod" or (last.pos == "VERB" and dep not in ("ROOT", "conj", "acl", "relcl")):
        first.pos = "ADJ"
    elif last.pos in ("ADP", "ADV") and dep in ("compound", "nmod"):  # "a walk-in closet"
        first.pos, first.tag, first.dep = "ADJ", "JJ", "amod"
