"""Choosing the rules that look at a word changes nothing but the time."""

from __future__ import annotations

import json

import pytest

from bench.parse import LABELLED
from parsing.mend import RULES, mend
from parsing.mend_tree import looks_at
from parsing.scene_graph import SpacyParser
from parsing.text import clean
from parsing.words import Word, read_doc

Row = tuple[str, str, str, int]


def mend_by_all(words: list[Word]) -> None:
    """Each word by every rule for its part of speech, in order; rules say themselves when."""
    for word in words:
        pos = word.pos
        for rule in RULES.get(pos, ()):
            rule(word, words)
        if word.pos != pos:
            for rule in RULES.get(word.pos, ()):
                rule(word, words)


def rows(words: list[Word]) -> list[Row]:
    return [(w.pos, w.tag, w.dep, -1 if w.head is None else w.head.i) for w in words]


def test_chosen_rules_mend_as_all_do() -> None:
    lines = LABELLED.read_text(encoding="utf-8").splitlines()
    texts = [clean(json.loads(line)["caption"]) for line in lines]
    parser = SpacyParser()
    parser.setup()
    changed = 0
    for text, doc in zip(texts, parser.docs([t.text for t in texts]), strict=True):
        first, second = (read_doc(doc, text.text, parser._lemmatize) for _ in range(2))
        read = rows(first)
        mend(first)
        mend_by_all(second)
        assert rows(first) == rows(second), text.text
        changed += rows(first) != read
    assert changed > 50


def test_a_changed_word_meets_the_later_rules_for_what_it_became(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    met: list[str] = []

    @looks_at(dep=("told-apart",))
    def early(word: Word, words: list[Word]) -> None:
        met.append("early")

    @looks_at(dep=("made-up",))
    def change(word: Word, words: list[Word]) -> None:
        met.append("change")
        word.dep = "told-apart"

    @looks_at(dep=("told-apart",))
    def late(word: Word, words: list[Word]) -> None:
        met.append("late")

    monkeypatch.setitem(RULES, "TEST", (early, change, late))
    mend([Word(0, "it", "it", 0, 2, "TEST", "XX", "made-up", 0, str)])
    assert met == ["change", "late"]
