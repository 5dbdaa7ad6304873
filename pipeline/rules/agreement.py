"""Agreement: a tag that neither the image nor any of its regions supports is dropped.

RAM drops tags on 'contrary predictions between whole images and their corresponding regions'
(section 3.3). Here both are weighed: how much more the whole image looks like those that have the
tag than like those that do not, and, where it speaks for the tag, the log-odds that its clearest
region shows it rather than anything else of the same kind. Where that region shows another tag of
the kind, one that a caption names, too, it is that other one's, and none is left for the tag. The
strongest other tag there is reported as a likely confusion. Tags of few images are weighed, too,
but none of them is dropped.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from model.metrics import log_odds
from pipeline.config import CleanConfig
from pipeline.rules.base import Opinions, TagEvidence, incomparable, left_alone, too_few
from pipeline.rules.noise import supports, wrong_posterior

REGION_SHARE = 0.25
"""Of a region's log-odds for the tag: the image has been weighed with its regions already.

Only for it: a region that shows something else may be a box in the wrong place."""
OTHER_COUNTS = 4.0
"""Log-odds against a tag whose clearest region is surely that of another one that is said, where a
look at regions counts in full; it counts as much as images held out of training have found."""


def agreement(evidence: TagEvidence, config: CleanConfig, seed: int) -> Opinions:
    """Drop the tags that are likely enough wrong."""
    clearest, regions = evidence.best_region(evidence.region_scores)
    if why := incomparable(evidence):
        return left_alone(evidence, regions, why)
    of_image = supports(evidence)
    weight = of_image.copy()
    others = log_odds(evidence.other_scores[regions])
    taken = evidence.other_said[regions] * expit(others - log_odds(clearest))
    weight[: evidence.images] += REGION_SHARE * np.maximum(log_odds(clearest), 0)
    weight[: evidence.images] -= OTHER_COUNTS * evidence.look * taken
    wrong = wrong_posterior(weight, evidence.noise)[0][: evidence.images]
    # A rare tag loses nothing, but those who look through it begin with what is likeliest wrong.
    rare = too_few(evidence, evidence.images, "images", config)
    reasons = []
    for row, region in enumerate(regions):
        reason = (f"{rare}; " if rare else "") + (
            f"wrong with probability {wrong[row]:.2f}: log-odds {of_image[row]:+.1f} by the whole "
            f"image; its clearest region scores {clearest[row]:.2f}"
        )
        if evidence.other_scores[region] > clearest[row]:
            other = evidence.other_names[region]
            reason += f" and looks more like {other} ({evidence.other_scores[region]:.2f})"
            if evidence.other_said[region]:
                reason += ", which a caption names"
        reasons.append(reason)
    certain = float("nan") if rare else evidence.certain
    return Opinions(wrong > certain, wrong, certain, reasons, regions)
