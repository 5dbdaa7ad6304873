"""Agreement: a tag that the tagger recognises in none of its regions is dropped.

RAM drops tags on 'contrary predictions between whole images and their corresponding regions'
(section 3.3). Here a tag goes when its image is more likely than not one without it, and none of
its regions shows it more clearly than every other tag of its kind; the strongest of those is
reported as a likely confusion.
"""

from __future__ import annotations

import numpy as np

from pipeline.config import CleanConfig
from pipeline.rules.base import Opinion, TagEvidence, Verdict, left_alone
from pipeline.rules.noise import standardised, wrong_posterior

MORE_LIKELY_THAN_NOT = 0.5


def agreement(evidence: TagEvidence, config: CleanConfig, seed: int) -> list[Opinion]:
    """Drop the tags that neither the image nor any of its regions supports."""
    rival = np.maximum(evidence.other_scores, 1e-9)
    clearness = (evidence.region_scores / rival).astype(np.float32)
    clearest, regions = evidence.best_region(clearness)
    if evidence.images < config.min_regions or not len(evidence.absent_scores):
        why = f"only {evidence.images} images of {evidence.name}: left alone"
        return left_alone(evidence, regions, why)
    wrong, _ = wrong_posterior(standardised(evidence.image_scores, evidence.absent_scores))
    drop = (wrong > MORE_LIKELY_THAN_NOT) & (clearest < 1)
    opinions = []
    for row, region in enumerate(regions):
        verdict: Verdict = "drop" if drop[row] else "keep"
        reason = (
            f"its image is one without {evidence.name} with probability {wrong[row]:.2f}; "
            f"the best region scores {evidence.region_scores[region]:.2f}"
        )
        if clearest[row] < 1:
            other = evidence.other_names[region]
            reason += f" and looks more like {other} ({evidence.other_scores[region]:.2f})"
        opinions.append(
            Opinion(verdict, float(wrong[row]), MORE_LIKELY_THAN_NOT, reason, int(region))
        )
    return opinions
