"""What held-out scores vouch for: which tags of captions are right, and which are missing."""

from __future__ import annotations

import numpy as np

from model.thresholds import fit_curve
from pipeline.columns import Floats
from pipeline.rules.noise import (
    carriers,
    certain_from,
    evidence_slope,
    support,
    wrong_posterior,
    wrong_share,
)

THERE, HALF_SEEN = 0.8, 0.43
"""Probabilities of being in the picture from which a tag that is not said is there, or is unknown.

Not those of `calibrate`: another threshold for tags must not train judges anew, and first judges
err more often than those that learn from this.
"""
UNSURE = 0.2
"""Right tags that may be taken as unknown for each wrong one; dropping them for good costs more."""


def vouched(scores: Floats, said: Floats, unsettled: Floats) -> tuple[Floats, Floats]:
    """Targets (N, L) to learn from, and how much each pair counts (N, L).

    `scores` (N, L) are by models that have not seen the image, 0 where there is none; `said` (N, L)
    is 1 where a caption has the tag. A tag that is said counts by how likely it is right, one that
    cleaning would drop is unknown, as is one that is not said but half seen, or `unsettled` (N, L)
    by what is. One that is seen surely is there.
    """
    unknown = (unsettled > 0) & (said == 0)
    curve = fit_curve(scores, said, unknown)
    generated = scores >= curve.thresholds_of_presence(THERE)
    half_seen = unknown | (scores >= curve.thresholds_of_presence(HALF_SEEN))
    judged = scores, said, generated | unknown
    slope = evidence_slope(*judged)
    noise = wrong_share(*judged, slope)
    certain = certain_from(*judged, slope, noise, UNSURE)
    targets, known = said.copy(), np.ones_like(said)
    for column, own, absent in carriers(*judged):
        evidence = support(scores[own, column], scores[absent, column], slope)
        wrong, _ = wrong_posterior(evidence, noise)
        known[own, column] = np.where(wrong > certain, 0, 1 - wrong)
    missing = said == 0
    targets[missing & generated] = 1
    known[missing & half_seen & ~generated] = 0
    return targets, known
