"""Agreement: a tag that the tagger recognises in none of its regions is dropped.

RAM drops tags on 'contrary predictions between whole images and their corresponding regions'
(section 3.3). Here both sides are weighed: the odds that the whole image is one without the tag,
times how much more its clearest region looks like the strongest other tag of the same kind. That
other tag is reported as a likely confusion.
"""

from __future__ import annotations

import numpy as np

from pipeline.config import CleanConfig
from pipeline.rules.base import Opinion, TagEvidence, Verdict, left_alone
from pipeline.rules.noise import standardised, wrong_posterior

CERTAIN = 0.9
"""From this combined probability on a tag is dropped; below, its right ones would pay for it."""


def agreement(evidence: TagEvidence, config: CleanConfig, seed: int) -> list[Opinion]:
    """Drop the tags that neither the image nor any of its regions supports."""
    rival = np.maximum(evidence.other_scores, 1e-9)
    clearness = (evidence.region_scores / rival).astype(np.float32)
    clearest, regions = evidence.best_region(clearness)
    if evidence.images < config.min_regions or not len(evidence.absent_scores):
        why = f"only {evidence.images} images of {evidence.name}: left alone"
        return left_alone(evidence, regions, why)
    alone, _ = wrong_posterior(standardised(evidence.image_scores, evidence.absent_scores))
    odds = alone / np.maximum(1 - alone, 1e-6) / np.maximum(clearest, 1e-6)
    wrong = odds / (1 + odds)
    # A region that shows the tag more clearly than any other contradicts nothing.
    drop = (wrong > CERTAIN) & (clearest < 1)
    opinions = []
    for row, region in enumerate(regions):
        verdict: Verdict = "drop" if drop[row] else "keep"
        reason = (
            f"wrong with probability {wrong[row]:.2f}: {alone[row]:.2f} by the whole image; "
            f"its clearest region scores {evidence.region_scores[region]:.2f}"
        )
        if clearest[row] < 1:
            other = evidence.other_names[region]
            reason += f" and looks more like {other} ({evidence.other_scores[region]:.2f})"
        opinions.append(Opinion(verdict, float(wrong[row]), CERTAIN, reason, int(region)))
    return opinions
