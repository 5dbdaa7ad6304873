"""How noisy a tag is, estimated from held-out scores of images with and without it.

A wrong tag's image is an image without the thing, so its score is a draw from the scores of images
that do not carry the tag. Its *p-value*, the share of those scores that are at least as high, is
then uniform, while right tags pile up near zero (Storey 2002, eq. 6, for the share of nulls).
"""

from __future__ import annotations

import numpy as np

from pipeline.columns import Floats
from pipeline.rules.base import Bools

STOREY_LAMBDA = 0.5
"""p-values above this come almost only from wrong tags."""


def p_values(scores: Floats, absent: Floats) -> Floats:
    """For each score (M,) the share of absent scores that are at least as high."""
    ranked = np.sort(absent)
    higher = len(ranked) - np.searchsorted(ranked, scores, side="left")
    return ((higher + 1) / (len(ranked) + 1)).astype(np.float32)


def wrong_share(p: Floats) -> float:
    """The estimated share of wrong tags (Storey's estimate of the share of nulls), 0 to 1."""
    if not len(p):
        return 0.0
    return min(1.0, float(np.mean(p > STOREY_LAMBDA)) / (1 - STOREY_LAMBDA))


def doubtful(p: Floats, purity: float) -> Bools:
    """The largest set of least supported tags (M,) of which at least `purity` is wrong.

    Among tags with p >= t, `wrong_share * M * (1 - t)` wrong ones are expected; the set is cut at
    the smallest t where those are `purity` of all that lie there.
    """
    order = np.sort(p)
    expected_wrong = wrong_share(p) * len(p) * (1 - order)
    found = len(p) - np.arange(len(p))
    pure = np.flatnonzero(expected_wrong >= purity * found)
    if not len(pure):
        return np.zeros(len(p), bool)
    result: Bools = p >= order[pure[0]]
    return result
