"""Words of a batch that are equal are embedded once, and the parses stay what they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import spacy

from parsing.embedding import embed_equal_words_once
from parsing.scene_graph import SpacyParser
from tests.parsing.captions import EXPECTED

CAPTIONS = [caption for caption, *_ in EXPECTED]


@pytest.fixture(scope="module")
def models() -> tuple[Any, Any]:
    name = SpacyParser().model
    plain, once = (spacy.load(name, exclude=["ner", "lemmatizer"]) for _ in range(2))
    embed_equal_words_once(once)
    return plain, once


def test_vectors_and_trees_are_the_same(models: tuple[Any, Any]) -> None:
    pairs = zip(*(list(nlp.pipe(CAPTIONS)) for nlp in models), strict=True)
    for plain, once in pairs:
        assert np.allclose(plain.tensor, once.tensor, atol=1e-4)
        assert [(w.tag_, w.dep_, w.head.i) for w in plain] == [
            (w.tag_, w.dep_, w.head.i) for w in once
        ]


def test_each_word_is_embedded_once(models: tuple[Any, Any]) -> None:
    _, nlp = models
    embed = nlp.get_pipe("tok2vec").model.layers[0]
    layer = embed.layers[2].layers[0]
    rows: list[int] = []
    plain = layer._func
    layer._func = lambda model, X, is_train: (rows.append(len(X)), plain(model, X, is_train))[1]
    try:
        list(nlp.pipe(["a dog and a dog and a dog"] * 5 + ["A dog"]))
    finally:
        layer._func = plain
    # "a", "dog", "and", the last "dog" without a space after it, "A"
    assert rows == [5]


def test_another_kind_of_model_stays_as_it_is() -> None:
    blank = spacy.blank("en")
    embed_equal_words_once(blank)
    assert blank.pipe_names == []
