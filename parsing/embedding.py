"""Equal words of a batch are embedded once: the same vectors, at a third of the products."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def embed_equal_words_once(nlp: Any) -> None:
    """Change the model's `tok2vec` so; models of another build stay as they are.

    A word's embedding depends on its own features alone (spaCy's MultiHashEmbed: a table for each
    feature, then one layer that mixes them), and two words in three were in the batch before.
    """
    from thinc.api import chain

    parts = nlp.get_pipe("tok2vec").model.layers if nlp.has_pipe("tok2vec") else []
    layers = parts[0].layers if parts else []
    names = [layer.name for layer in layers]
    if len(names) == 5 and "hashembed" in names[2] and "maxout" in names[3]:
        layers[2:4] = [_each_once(chain(*layers[2:4]))]


def _each_once(layer: Any) -> Any:
    """A layer that works row by row, called with distinct rows only."""
    from thinc.api import Model, Ragged

    def forward(model: Any, words: Any, is_train: bool) -> tuple[Any, Any]:
        if is_train:
            trained: tuple[Any, Any] = layer(words, is_train)
            return trained
        distinct, place = _distinct(words.dataXd)
        return Ragged(layer.predict(distinct)[place], words.lengths), lambda _: None

    return Model("each_once", forward, layers=[layer])


def _distinct(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The different rows, and which of them each row is; as bytes they sort fastest."""
    rows = np.ascontiguousarray(rows)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], place
