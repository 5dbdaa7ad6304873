"""How likely a tag is wrong, from held-out scores of images with and without it.

A wrong tag's image is an image without the thing, so its score is a draw from the scores of images
that do not carry the tag; right tags score higher, by how much depends on the tag. The scores of a
tag's images are thus a mixture of two normal distributions over logits, of which one is known; EM
finds the other and the share of wrong tags (as in confident learning, per tag and without labels).
"""

from __future__ import annotations

import numpy as np

from pipeline.columns import Floats

PRIOR_SHARE = 0.1
"""Share of wrong tags expected before looking, as in RAM's fixed cut."""
PRIOR_IMAGES = 20
"""How many images the prior counts for."""
MAX_SHARE = 0.5
"""A tag of which more is wrong than right cannot be told from its noise."""
ROUNDS = 30


def standardised(scores: Floats, absent: Floats) -> Floats:
    """Logits of scores (M,) in units of the absent ones: 0 is a typical image without the tag."""
    null = _logit(absent)
    spread = max(float(np.std(null)), 1e-3)
    result: Floats = ((_logit(scores) - float(np.mean(null))) / spread).astype(np.float32)
    return result


def wrong_posterior(z: Floats) -> tuple[Floats, float]:
    """The probability (M,) that each tag is wrong, and the share that is.

    `z` are standardised scores of images that carry the tag. The right ones are taken to be normal
    with a mean above 0; where they cannot be told from the absent ones, the answer is the prior.
    """
    share, mean, spread = PRIOR_SHARE, max(float(np.mean(z)), 0.5), max(float(np.std(z)), 0.5)
    wrong = np.full(len(z), share)
    for _ in range(ROUNDS):
        null = share * np.exp(-0.5 * z.astype(np.float64) ** 2)
        seen = (1 - share) / spread * np.exp(-0.5 * ((z - mean) / spread) ** 2)
        wrong = null / np.maximum(null + seen, 1e-12)
        # Far above the right ones' mean a wide null must not win again.
        wrong[z >= mean] = np.minimum(wrong[z >= mean], share)
        right = 1 - wrong
        mean = max(float((right * z).sum() / max(right.sum(), 1e-6)), 0.5)
        spread = float(np.sqrt((right * (z - mean) ** 2).sum() / max(right.sum(), 1e-6)))
        spread = max(spread, 0.5)
        share = float((wrong.sum() + PRIOR_SHARE * PRIOR_IMAGES) / (len(z) + PRIOR_IMAGES))
        share = min(share, MAX_SHARE)
    return wrong.astype(np.float32), share


def _logit(scores: Floats) -> Floats:
    clipped = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    result: Floats = np.log(clipped / (1 - clipped))
    return result
