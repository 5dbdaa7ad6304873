"""How likely a tag is wrong, from held-out scores of images with and without it.

A wrong tag's image is an image without the thing: its score is a draw from the scores of images
that do not carry the tag, while right tags score higher. Where both kinds of scores spread alike,
the log-ratio of their densities is the score's distance from the midpoint between them (linear
discriminant analysis) times a slope that all tags share. The share of wrong tags is what makes the
posteriors add up to it (EM, as in confident learning per tag and without labels).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from model.metrics import log_odds
from pipeline.columns import Floats
from pipeline.rules.base import Bools, TagEvidence

PRIOR_SHARE = 0.1
"""Share of wrong tags expected before looking, as in RAM's fixed cut."""
PRIOR_IMAGES = 200
"""How many the expected share counts for: with fewer, a tag's noise is mostly its hard images."""
LEAST_SHARE = 0.001
"""Where nothing seems wrong, for log-odds of nothing are infinite."""
MAX_SHARE = 0.5
"""A tag of which more is wrong than right cannot be told from its noise."""
ROUNDS, SETTLED = 100, 1e-5
FEWEST_CARRIED = 8
"""Images that must carry a tag for it to have a say in the slope."""
SLOPES = (0.1, 10.0)
CERTAIN = 0.5
"""The probability of being wrong above which tags go where nothing is known of the others."""
LEAST_CERTAIN = 0.25
"""A tag that is more than three times as likely right as wrong stays, whatever may be lost."""
SAMPLE = 200_000
"""Pairs of image and tag that the slope is fitted on."""


def midpoint(scores: Floats, absent: Floats) -> float:
    """The log-odds midway between images with and without a tag, probabilities (M,) and (A,)."""
    # Of the carried ones the median: wrong tags are the smaller part.
    return float((np.median(log_odds(scores)) + np.mean(log_odds(absent))) / 2)


def carriers(
    scores: Floats, carried: Floats, unsure: Bools, fewest: int = FEWEST_CARRIED
) -> Iterator[tuple[int, Bools, Bools]]:
    """Each tag's column, the images (N,) that carry it, and those that lack it.

    Left out are tags that fewer images carry, or that none lacks. Held-out `scores` and `carried`
    (0 or 1) are (N, L); pairs (N, L) that are `unsure` are no example of a tag that is lacking, as
    captions leave things out.
    """
    for column in np.flatnonzero(carried.sum(axis=0) >= fewest):
        # A score of 0 was not stored: the model of that fold has not learned the tag.
        known, mine = scores[:, column] > 0, carried[:, column] > 0
        own, absent = known & mine, known & ~mine & ~unsure[:, column]
        if own.any() and absent.any():
            yield int(column), own, absent


def midpoints(scores: Floats, carried: Floats, unsure: Bools) -> Floats:
    """Of each tag (L,), NaN where no image has it or none lacks it; as for `carriers`."""
    found = np.full(scores.shape[1], np.nan, np.float32)
    for column, own, absent in carriers(scores, carried, unsure, fewest=1):
        found[column] = midpoint(scores[own, column], scores[absent, column])
    return found


def support(scores: Floats, absent: Floats, slope: float) -> Floats:
    """Log-odds (M,) for each carried tag: above 0 it is more like images that have it.

    `scores` (M,) and `absent` (A,) are probabilities of images with and without the tag; `slope` is
    that of `evidence_slope`.
    """
    result: Floats = (slope * (log_odds(scores) - midpoint(scores, absent))).astype(np.float32)
    return result


def supports(evidence: TagEvidence) -> Floats:
    """The support of all images that carry a tag: those with a region (M,), then the others (U,).

    The others are as good a measure of what the tag looks like; with a budget for the detector,
    those that it looked at are the doubtful ones.
    """
    carried = np.concatenate([evidence.image_scores, evidence.unseen_scores])
    return support(carried, evidence.absent_scores, evidence.slope)


def evidence_slope(scores: Floats, carried: Floats, unsure: Bools) -> float:
    """How much log-odds that an image carries a tag grow with those of its score; 1 of too little.

    Logistic regression on the distance from each tag's midpoint, all tags together; arguments as
    for `carriers`. Judges that learned from other tags, or longer, are more or less sure than they
    should be, of all tags alike.
    """
    from sklearn.linear_model import LogisticRegression  # a second to import

    away, has = [], []
    for column, own, absent in carriers(scores, carried, unsure):
        centre = midpoint(scores[own, column], scores[absent, column])
        kept = own | absent
        away.append(log_odds(scores[kept, column]) - centre)
        has.append(own[kept])
    if not away:
        return 1.0
    distance, tagged = np.concatenate(away), np.concatenate(has)
    rows = np.random.default_rng(0).permutation(len(distance))[:SAMPLE]
    if len(np.unique(tagged[rows])) < 2:
        return 1.0
    fitted = LogisticRegression(C=np.inf).fit(distance[rows, None], tagged[rows])
    return float(np.clip(fitted.coef_[0, 0], *SLOPES))


def wrong_posterior(evidence: Floats, expected: float = PRIOR_SHARE) -> tuple[Floats, float]:
    """The probability (M,) that each tag is wrong, and the share that is.

    `evidence` (M,) are log-odds that a tag is right, before any share of wrong tags; `expected` is
    the share that is wrong of all tags together.
    """
    return _em(evidence, expected, PRIOR_IMAGES)


def _em(evidence: Floats, expected: float, counts: int) -> tuple[Floats, float]:
    """Posterior and share; what is expected counts for so many images."""
    share, before = expected, 0.0
    for _ in range(ROUNDS):
        if abs(share - before) < SETTLED:
            break
        before = share
        wrong = 1 / (1 + np.exp(evidence.astype(np.float64) - np.log(share / (1 - share))))
        share = float((wrong.sum() + expected * counts) / (len(wrong) + counts))
        share = min(max(share, LEAST_SHARE), MAX_SHARE)
    return wrong.astype(np.float32), share


def _own_supports(scores: Floats, carried: Floats, unsure: Bools, slope: float) -> list[Floats]:
    """The support of each tag's images that carry it; arguments as for `carriers`."""
    return [
        support(scores[own, column], scores[absent, column], slope)
        for column, own, absent in carriers(scores, carried, unsure)
    ]


def wrong_share(scores: Floats, carried: Floats, unsure: Bools, slope: float) -> float:
    """The share of wrong tags that there seems to be of all together; `PRIOR_SHARE` of too little.

    A tag's own share is uncertain while it has few images, and is held near this one. Arguments as
    for `carriers`.
    """
    found = _own_supports(scores, carried, unsure, slope)
    return _em(np.concatenate(found), PRIOR_SHARE, 0)[1] if found else PRIOR_SHARE


def most_wrong(scores: Floats, carried: Floats, unsure: Bools) -> float:
    """The share of wrong tags that there can be of all together; 1 of too little.

    Of the absent images of a tag half score below their median, and so does half of what is wrong.
    No more can be wrong, then, than twice the carried tags that score as low as that (Storey 2002,
    "A direct approach to false discovery rates", with lambda .5). `wrong_share` takes hard images
    for wrong ones where little is wrong; here a right tag counts only where the judge sees less of
    the thing than in most pictures without it. Arguments as for `carriers`.
    """
    low = [
        scores[own, column] < np.median(scores[absent, column])
        for column, own, absent in carriers(scores, carried, unsure)
    ]
    return min(1.0, 2 * float(np.concatenate(low).mean())) if low else 1.0


def certain_from(
    scores: Floats, carried: Floats, unsure: Bools, slope: float, expected: float, allowed: float
) -> float:
    """The probability of being wrong above which all tags together lose what is allowed.

    So many right ones as `allowed` times the wrong ones that there seem to be: weak judges are
    hardly ever sure, and 1 in 2 would be more careful with them than anyone asked for, while clean
    tags have little to spend. `expected` is the share that is wrong of all tags together; the other
    arguments are as for `carriers`, by the whole images' scores.
    """
    supports = _own_supports(scores, carried, unsure, slope)
    found = [wrong_posterior(own, expected)[0] for own in supports]
    if not found:
        return CERTAIN
    wrong = np.sort(np.concatenate(found).astype(np.float64))[::-1]
    spent = np.searchsorted(np.cumsum(1 - wrong), allowed * wrong.sum(), side="right")
    return float(np.clip(wrong[min(spent, len(wrong) - 1)], LEAST_CERTAIN, 1.0))
