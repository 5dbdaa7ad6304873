"""Agreement: a tag that the tagger recognises in none of its regions is dropped.

RAM drops tags on 'contrary predictions between whole images and their corresponding regions'
(section 3.3). A region's score is compared with the held-out scores of images without the tag;
regions that agree with another tag are reported as a likely confusion.
"""

from __future__ import annotations

from pipeline.config import CleanConfig
from pipeline.rules.base import Opinion, TagEvidence, Verdict, left_alone
from pipeline.rules.noise import doubtful, p_values

PURITY = 0.6
"""Share of wrong tags wanted among those that are dropped."""


def agreement(evidence: TagEvidence, config: CleanConfig, seed: int) -> list[Opinion]:
    """Drop the tags that neither the image nor any of its regions supports."""
    region_score, regions = evidence.best_region(evidence.region_scores)
    if evidence.images < config.min_regions:
        why = f"only {evidence.images} images of {evidence.name}: left alone"
        return left_alone(evidence, regions, why)
    p = p_values(evidence.image_scores, evidence.absent_scores)
    drop = doubtful(p, PURITY)
    limit = float(p[drop].min()) if drop.any() else 1.0
    opinions = []
    for row, region in enumerate(regions):
        other, other_score = evidence.other_names[region], evidence.other_scores[region]
        reason = f"{evidence.name} scores {region_score[row]:.2f} in its best region"
        if other_score > region_score[row]:
            reason += f", which looks more like {other} ({other_score:.2f})"
        verdict: Verdict = "drop" if drop[row] else "keep"
        opinions.append(Opinion(verdict, float(p[row]), limit, reason, int(region)))
    return opinions
