"""The parser's steps for many captions at once give spaCy's own trees."""

from __future__ import annotations

from typing import Any

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from parsing import greedy
from parsing.scene_graph import SpacyParser
from tests.parsing.captions import EXPECTED

CAPTIONS = [caption for caption, *_ in EXPECTED]
ODD = ["", " ", "a dog", "", "a man and " * 150 + "a dog", "…", "dog" * 500]
BATCH = 32


@pytest.fixture(scope="module")
def nlp() -> Any:
    return spacy.load(SpacyParser().model, exclude=["ner", "lemmatizer", "attribute_ruler"])


def trees(docs: Any) -> list[list[tuple[str, str, str, int, bool | None]]]:
    return [[(w.text, w.tag_, w.dep_, w.head.i, w.is_sent_start) for w in doc] for doc in docs]


def test_trees_are_those_of_spacy(nlp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*CAPTIONS, *ODD]
    wanted = trees(nlp.pipe(texts, batch_size=BATCH))
    parts: list[int] = []
    states = greedy._states
    monkeypatch.setattr(
        greedy, "_states", lambda parser, docs: (parts.append(len(docs)), states(parser, docs))[1]
    )
    assert trees(greedy.parsed(nlp, texts, BATCH)) == wanted
    assert sum(parts) == len(texts)
    assert max(parts) == BATCH // 4
    assert nlp.pipe_names[-1] == "parser"  # still the model's


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), max_size=5))
def test_trees_of_anything_are_those_of_spacy(nlp: Any, texts: list[str]) -> None:
    assert trees(greedy.parsed(nlp, texts, BATCH)) == trees(nlp.pipe(texts, batch_size=BATCH))


def test_another_kind_of_parser_reads_by_itself(nlp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = CAPTIONS[:20]
    monkeypatch.setattr(greedy, "_states", None)
    parser = nlp.get_pipe("parser")
    parser.cfg["beam_width"] = 4
    try:
        assert trees(greedy.parsed(nlp, texts, BATCH)) == trees(nlp.pipe(texts, batch_size=BATCH))
    finally:
        parser.cfg["beam_width"] = 1
    with nlp.select_pipes(disable=["parser"]):  # the last part is the tagger
        assert trees(greedy.parsed(nlp, texts, BATCH)) == trees(nlp.pipe(texts, batch_size=BATCH))
    blank = spacy.blank("en")
    assert [doc.text for doc in greedy.parsed(blank, texts, BATCH)] == texts
