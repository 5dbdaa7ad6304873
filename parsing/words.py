"""A parsed caption as plain words: what the rules read instead of the language model's objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

Lemmatize = Callable[[Any], str]
"""A token's base form in the language model's opinion."""


@dataclass(slots=True, eq=False)
class Word:
    """One token; `head` and `children` are the dependency tree, mutable so that rules can mend.

    `low` is the text in lower case; `model_lemma` asks the language model, which takes its time.
    """

    i: int
    text: str
    low: str
    start: int
    end: int
    pos: str
    tag: str
    dep: str
    model_lemma: Callable[[], str]
    head: Word | None = None
    children: list[Word] = field(default_factory=list)

    def kids(self, *deps: str) -> list[Word]:
        """Children with one of these dependencies, in reading order."""
        return [child for child in self.children if child.dep in deps]

    def moved(self, head: Word | None, dep: str) -> None:
        """Hang this word on another head."""
        if self.head is not None:
            self.head.children.remove(self)
        self.head, self.dep = head, dep
        if head is not None:
            head.children.append(self)
            head.children.sort(key=lambda word: word.i)

    def conjuncts(self) -> Iterator[Word]:
        """This word and what is coordinated with it: red, white and blue."""
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


def read_doc(doc: Any, lemmatize: Lemmatize) -> list[Word]:
    """A spaCy document as words."""
    words = [
        Word(
            i, text := t.text, text.lower(), start := t.idx, start + len(text), t.pos_, t.tag_,
            t.dep_, partial(lemmatize, t),
        )
        for i, t in enumerate(doc)
    ]  # fmt: skip
    for token, word in zip(doc, words, strict=True):
        if (head := token.head.i) != word.i:
            word.head = words[head]
            word.head.children.append(word)  # tokens come in reading order, so children do too
    return _hyphenated(words, doc.text) if "-" in doc.text else words


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
    for part in others:
        for child in list(part.children):
            if child not in parts:
                child.moved(first, child.dep)
        part.moved(None, part.dep)
    first.moved(None if head in parts else head, dep)
    first.text = text[first.start : last.end]
    first.low = first.text.lower()
    first.end, first.tag, first.pos = last.end, last.tag, last.pos
    before, of_last = text[first.start : last.start].lower(), last.model_lemma
    first.model_lemma = lambda: before + of_last()
    if dep == "amod" or (last.pos == "VERB" and dep not in ("ROOT", "conj", "acl", "relcl")):
        first.pos = "ADJ"
