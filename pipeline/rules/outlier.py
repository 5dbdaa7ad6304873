"""K-Means++ outliers: a region far from its own centre does not show what its tag says.

Regions of a tag are clustered (RAM, section 3.3; the number of clusters, the feature space and the
meaning of 'outlier 10 %' are ours, docs/architecture.md). A tag is dropped only when all regions
of it in the image are outliers.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from pipeline.clustering import SAMPLED, distances_to, fit_centres
from pipeline.columns import Floats
from pipeline.config import CleanConfig
from pipeline.regions import Held, Regions
from pipeline.rules.base import Opinions, TagEvidence, incomparable, left_alone, too_few
from pipeline.rules.noise import supports, wrong_posterior

PAPER_SHARE = 0.1
FAR_COUNTS = 0.5
"""Log-odds of being wrong that a region far away adds to those of its image."""
FAR = 1.2  # spreads; nearer than this is no outlier, whatever the share
REGIONS_PER_CLUSTER = 25
MAX_CLUSTERS = 8
LEAST_SHARE = 0.15  # of a tag's regions; a smaller cluster is no look of the thing


def clusters_for(regions: int) -> int:
    """One cluster per 25 regions, 8 at most: enough for the looks of a thing, few for its noise."""
    return int(np.clip(regions // REGIONS_PER_CLUSTER, 1, MAX_CLUSTERS))


def distances(features: Floats | Regions, seed: int) -> Floats:
    """The distance (R,) of each region to its own centre over that cluster's median distance.

    `features` is (R, D). The result does not depend on the order of the rows.
    """
    regions = Held(features) if isinstance(features, np.ndarray) else features
    clusters = clusters_for(len(regions))
    centres = fit_centres(regions.sample(SAMPLED * clusters), clusters, seed)
    apart = np.empty((len(regions), clusters), np.float32)
    for rows, block in regions.blocks():
        apart[rows] = distances_to(block, centres)
    members = np.bincount(apart.argmin(axis=1), minlength=clusters)
    # Wrong regions that resemble each other make a small cluster; it must not vouch for itself.
    vouching = members >= min(LEAST_SHARE * len(regions), members.max())
    apart = apart[:, vouching]
    look = apart.argmin(axis=1)
    away = apart[np.arange(len(apart)), look]
    medians = [_median(away[look == place]) for place in range(apart.shape[1])]
    result: Floats = (away / np.maximum(medians, 1e-9)[look]).astype(np.float32)
    return result


def _median(values: Floats) -> float:
    """NumPy's own takes longer than all else about a small tag; 1 of nothing."""
    if not len(values):
        return 1.0
    middle = [(len(values) - 1) // 2, len(values) // 2]
    return float(np.partition(values, middle)[middle].mean())


def outlier(evidence: TagEvidence, config: CleanConfig, seed: int) -> Opinions:
    """Drop the images whose nearest region is among the farthest of the tag."""
    rare = too_few(evidence, len(evidence.features), "regions", config)
    if why := rare or incomparable(evidence):
        return left_alone(evidence, evidence.best_region(evidence.region_scores)[1], why)
    negative, regions = evidence.best_region(-distances(evidence.features, seed))
    nearest = -negative
    wrong, share = wrong_posterior(supports(evidence), evidence.noise)
    # Of the wrong ones that there are, those that should be among the images with a region.
    # Of sure judges that may be none at all, rounded.
    seen = wrong[: evidence.images].sum() / max(wrong.sum(), np.finfo(np.float32).tiny)
    wrong = wrong[: evidence.images]
    if config.cut == "paper":
        cut = int(PAPER_SHARE * len(nearest))
    else:
        expected = share * (len(nearest) + len(evidence.unseen_scores)) * seen
        # Of a few images with a region among many, more may be expected wrong than there are.
        cut = min(int(expected), len(nearest))
    # Of equally far ones the first by their IDs, so that a tag of equal regions does not go whole.
    farthest = np.argsort(-nearest, kind="stable")[:cut]
    limit = float(nearest[farthest[-1]]) if cut else float("inf")
    drop = np.zeros(len(nearest), bool)
    drop[farthest] = True
    if config.cut == "adaptive":
        # A right tag may look unusual: it goes only where its image is nearly wrong enough.
        enough = float(expit(logit(evidence.certain) - FAR_COUNTS))
        drop &= (wrong > enough) & (nearest > FAR)
    words = f"spreads from its cluster's centre, limit {limit:.2f}"
    reasons = [f"{away:.2f} {words}" for away in nearest.tolist()]
    return Opinions(drop, nearest, limit, reasons, regions)
