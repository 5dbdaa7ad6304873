"""spaCy's greedy dependency parser, a step for many captions at a time: the same trees sooner.

spaCy scores one state after the other and takes Python's lock for each hidden unit of each
(`Vec.arg_max` of thinc 8.3); here NumPy scores all states at once. States and transitions stay
spaCy's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.ml.parser_model import ParserStepModel
from spacy.pipeline import DependencyParser


def parsed(nlp: Any, texts: Sequence[str], batch_size: int) -> Iterator[Any]:
    """What `nlp.pipe` gives, and sooner where the model's last part is a greedy parser."""
    parser: Any
    name, parser = nlp.pipeline[-1] if nlp.pipeline else ("", None)
    if not _is_greedy(parser):
        yield from nlp.pipe(texts, batch_size=batch_size)
        return
    size = max(1, batch_size // 4)
    for start in range(0, len(texts), batch_size):
        some = texts[start : start + batch_size]
        batch = list(nlp.pipe(some, batch_size=batch_size, disable=[name]))
        by_length = sorted(batch, key=len)  # captions of a length are done at the same step
        for first in range(0, len(batch), size):
            part = by_length[first : first + size]
            parser.set_annotations(part, _states(parser, part))
        yield from batch


def _is_greedy(component: Any) -> bool:
    """Whether it decides as below; a parser with a beam or without an output layer does not."""
    if type(component) is not DependencyParser or component.cfg["beam_width"] != 1:
        return False
    attrs = component.model.attrs
    return bool(attrs["has_upper"]) and not attrs["unseen_classes"]


def _states(parser: Any, docs: Sequence[Any]) -> list[Any]:
    """The final states: what `parser.predict` gives."""
    states: list[Any] = parser.moves.init_batch(docs)
    step = _Step(parser.model, docs)
    going = [state for state in states if not state.is_final()]
    while going:
        going = parser.transition_states(going, step.scores(going))
    return states


class _Step(ParserStepModel):  # type: ignore[misc] # spaCy has no types
    """Scores the transitions of states; all that a word can add to them is known from the start.

    Of what it inherits only `get_token_ids` is used.
    """

    def __init__(self, model: Any, docs: Sequence[Any]) -> None:
        lower, upper = model.get_ref("lower"), model.get_ref("upper")
        vectors = model.get_ref("tok2vec").predict(docs)
        parts = lower.predict(vectors)  # a missing word and every word, places, hidden, pieces
        self.nF = parts.shape[1]
        self.state2vec = self  # which is asked for `nF` only
        self._parts = parts.reshape(-1, *parts.shape[2:])
        self._bias: NDArray[np.float32] = lower.get_param("b")
        self._upper = upper

    def scores(self, states: Sequence[Any]) -> NDArray[np.float32]:
        """Of each state (row) and transition (column)."""
        words = self.get_token_ids(states) + 1  # -1 is a missing one
        rows = words * self.nF + np.arange(self.nF)
        pieces = self._parts[rows[:, 0]]
        for place in range(1, self.nF):  # in spaCy's order: sums are the same to the last digit
            pieces += self._parts[rows[:, place]]
        pieces += self._bias
        hidden = reduce(np.maximum, np.moveaxis(pieces, -1, 0))  # quicker than `max`
        found: NDArray[np.float32] = self._upper.predict(hidden)
        return found
