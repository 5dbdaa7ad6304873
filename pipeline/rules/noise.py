"""How likely a tag is wrong, from held-out scores of images with and without it.

A wrong tag's image is an image without the thing: its score is a draw from the scores of images
that do not carry the tag, while right tags score higher. Where both kinds of scores spread alike,
the log-ratio of their densities is the score's distance from the midpoint between them (linear
discriminant analysis, with logits in units of log-odds already). The share of wrong tags is what
makes the posteriors add up to it (EM, as in confident learning per tag and without labels).
"""

from __future__ import annotations

import numpy as np

from model.metrics import log_odds
from pipeline.columns import Floats

PRIOR_SHARE = 0.1
"""Share of wrong tags expected before looking, as in RAM's fixed cut."""
PRIOR_IMAGES = 200
"""How many images the prior counts for: with fewer, a tag's noise is mostly its hard images."""
MAX_SHARE = 0.5
"""A tag of which more is wrong than right cannot be told from its noise."""
ROUNDS, SETTLED = 30, 1e-5


def support(scores: Floats, absent: Floats) -> Floats:
    """Log-odds (M,) for each carried tag: above 0 it is more like images that have it.

    `scores` (M,) and `absent` (A,) are probabilities of images with and without the tag.
    """
    # Of the carried ones the median: wrong tags are the smaller part.
    middle = (np.median(log_odds(scores)) + np.mean(log_odds(absent))) / 2
    result: Floats = (log_odds(scores) - middle).astype(np.float32)
    return result


def wrong_posterior(evidence: Floats) -> tuple[Floats, float]:
    """The probability (M,) that each tag is wrong, and the share that is.

    `evidence` (M,) are log-odds that a tag is right, before any share of wrong tags.
    """
    share, before = PRIOR_SHARE, 0.0
    for _ in range(ROUNDS):
        if abs(share - before) < SETTLED:
            break
        before = share
        wrong = 1 / (1 + np.exp(evidence.astype(np.float64) - np.log(share / (1 - share))))
        share = float((wrong.sum() + PRIOR_SHARE * PRIOR_IMAGES) / (len(wrong) + PRIOR_IMAGES))
        share = min(share, MAX_SHARE)
    return wrong.astype(np.float32), share
