"""Thresholds per class from held-out scores: of a wanted precision, or of the best F1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from model.metrics import Floats, log_odds

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

PRIOR = 10.0
"""Positives of all classes together that are added to a class's own for its best F1."""
EXPECTED = 40.0
"""Pseudo-observations with which a class's own record is drawn towards that of all."""
LOOKED_AT = 0.36
"""Probability of being there from which on pairs count in a class's record."""
FEWEST_POSITIVES = 3
"""A class with fewer is not generated: one lucky score is no evidence."""
NEVER = 2.0
"""A threshold that no score reaches."""
SAMPLE = 200_000
"""Pairs of image and class that the curve is fitted on, half of them positive where there are."""
RIDGE = 1e-4
"""Weight of squared slopes, so that scores that separate perfectly have some."""


@dataclass(frozen=True)
class Curve:
    """How likely a score is a positive: `top` * sigmoid(`slope` * log-odds + `offset`), by class.

    `slope` and `offset` are (L,), as is the `factor` by which a class is right more often than all
    together are; `learned` says which classes have enough positives.
    """

    top: float
    slope: Doubles
    offset: Doubles
    factor: Doubles
    learned: Bools

    def thresholds(self, wanted: float) -> Floats:
        """The score (L,) from which on a class is right with the wanted probability.

        Above 1 for classes that have too few positives or never reach it.
        """
        share = wanted / (self.top * self.factor)
        reached = self.learned & (share < 1) & (self.slope > 0)
        found = np.full(len(self.slope), NEVER, np.float32)
        odds = (special.logit(share[reached]) - self.offset[reached]) / self.slope[reached]
        found[reached] = special.expit(odds)
        return found

    def thresholds_of_presence(self, wanted: float) -> Floats:
        """The score (L,) from which on a thing is there with the wanted probability, said or not.

        Where all that is there were a positive with the probability `top`, as captions say it.
        """
        return self.thresholds(wanted * self.top)


def fit_curve(scores: Floats, targets: Floats, unknown: Bools | None = None) -> Curve:
    """The curve of held-out scores; all (N, L). Of pairs that are `unknown` nothing is learned.

    Captions say only a part of what is there: with ever higher scores the probability that a thing
    is said levels off at that part, `top`. It grows with the score itself and with how far that
    stands out among the scores of the class's negatives, in their standard deviations: a frequent
    tag scores high everywhere, a rare one nowhere. Four numbers are fitted over all classes
    together (maximum likelihood), for a class alone has too few positives. A class whose
    well-scored images are right less often than that predicts is corrected by the factor
    (right + EXPECTED) / (expected + EXPECTED), and vice versa.
    """
    labels = targets.shape[1]
    known = np.ones(scores.shape, bool) if unknown is None else ~unknown
    targets = targets * known
    if not targets.any():
        nothing = np.zeros(labels)
        return Curve(1.0, nothing, nothing, nothing + 1, np.zeros(labels, bool))
    odds = log_odds(scores).astype(np.float64)
    mean, spread = _negatives(odds, targets, known)
    rows, weights = _sample(targets[known])
    standard = (odds - mean) / spread
    features = np.stack([odds[known][rows], standard[known][rows]], axis=1)
    offset, (own, stands_out), top = _fit(features, targets[known][rows], weights)
    slope = own + stands_out / spread
    offsets = offset - stands_out * mean / spread
    there = special.expit(odds * slope + offsets)
    expected, looked_at = top * there, known & (there >= LOOKED_AT)
    right = (targets * looked_at).sum(axis=0)
    factor = (right + EXPECTED) / ((expected * looked_at).sum(axis=0) + EXPECTED)
    return Curve(top, slope, offsets, factor, targets.sum(axis=0) >= FEWEST_POSITIVES)


def precision_thresholds(scores: Floats, targets: Floats, wanted: float) -> Floats:
    """Per class the lowest score (L,) at which a tag is right with the wanted probability.

    By `fit_curve`; `scores` and `targets` are (N, L). Classes that never reach `wanted`, or have
    fewer than 3 positives, get a threshold above 1: they are not generated.
    """
    return fit_curve(scores, targets).thresholds(wanted)


def _sample(targets: Floats) -> tuple[npt.NDArray[np.int64], Doubles]:
    """Places of at most SAMPLE of the pairs (M,), and for how many each of them stands."""
    random = np.random.default_rng(0)
    places, weights = [], []
    for group in (np.flatnonzero(targets > 0), np.flatnonzero(targets == 0)):
        chosen = group
        if len(group) > SAMPLE // 2:
            chosen = np.sort(random.choice(group, SAMPLE // 2, replace=False))
        places.append(chosen)
        weights.append(np.full(len(chosen), len(group) / max(len(chosen), 1)))
    return np.concatenate(places), np.concatenate(weights)


def _fit(
    features: Doubles, targets: Floats, weights: Doubles
) -> tuple[float, tuple[float, float], float]:
    """Offset, slopes of the two features (M, 2), none of them negative, and top."""
    from scipy.optimize import minimize  # a fifth of a second to import

    centre, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    inputs = (features - centre) / scale
    share = weights / weights.sum()

    def loss(values: Doubles) -> tuple[float, Doubles]:
        top, there = special.expit(values[3]), special.expit(values[0] + inputs @ values[1:3])
        said = np.clip(top * there, 1e-9, 1 - 1e-9)
        likely = targets * np.log(said) + (1 - targets) * np.log1p(-said)
        by_said = share * ((1 - targets) / (1 - said) - targets / said)
        by_sum = by_said * top * there * (1 - there)
        slopes = inputs.T @ by_sum + 2 * RIDGE * values[1:3]
        by_top = (by_said * there).sum() * top * (1 - top)
        total = RIDGE * float(np.square(values[1:3]).sum()) - float(share @ likely)
        return total, np.array([by_sum.sum(), *slopes, by_top])

    start, bounds = np.array([-3.0, 1.0, 1.0, 1.0]), [(None, None), (0, None), (0, None), (-3, 6)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = found[1:3] / scale
    offset = float(found[0] - slopes @ centre)
    return offset, (float(slopes[0]), float(slopes[1])), float(special.expit(found[3]))


def best_f1_thresholds(scores: Floats, targets: Floats, unknown: Bools | None = None) -> Floats:
    """Per class the score (L,) from which on its F1 is highest; all (N, L), of held-out images.

    Pairs that are `unknown` are left out; a class of which nothing is known gets one above 1. A
    class alone has too few positives to find its own cut without luck. So to its own images come
    `PRIOR` positives' worth of all classes' images, at scores compared in standard deviations of a
    class's negatives. The cut lies midway to the next lower score.
    """
    known = np.ones(scores.shape, bool) if unknown is None else ~unknown
    targets = targets * known
    thresholds = np.full(targets.shape[1], NEVER, np.float32)
    if not targets.any():
        return thresholds
    odds = log_odds(scores).astype(np.float64)
    mean, spread = _negatives(odds, targets, known)
    standard = (odds - mean) / spread
    everything = np.argsort(-standard[known], kind="stable")
    falling = -standard[known][everything]
    # Per positive of all classes together: how many are right and how many are given.
    all_right = np.cumsum(targets[known][everything]) / targets.sum()
    all_given = np.arange(1, len(everything) + 1) / targets.sum()
    for column in np.flatnonzero(known.any(axis=0)):
        order = np.argsort(-scores[:, column], kind="stable")
        order = order[known[order, column]]
        own = scores[order, column]
        among = np.searchsorted(falling, -standard[order, column], side="right") - 1
        right = np.cumsum(targets[order, column]) + PRIOR * all_right[among]
        given = np.arange(1, len(own) + 1) + PRIOR * all_given[among]
        f1 = 2 * right / (given + targets[:, column].sum() + PRIOR)
        # Images that tie are given together.
        best = int(np.argmax(np.where(np.append(own[1:] < own[:-1], True), f1, 0)))
        below = own[best + 1] if best + 1 < len(own) else 0.0
        thresholds[column] = (own[best] + below) / 2
    return thresholds


def _negatives(odds: Doubles, targets: Floats, known: Bools) -> tuple[Doubles, Doubles]:
    """Mean and standard deviation (L,) of each class's negatives, of which it is known."""
    absent = (1.0 - targets) * known
    count = np.maximum(absent.sum(axis=0), 1)
    mean = (odds * absent).sum(axis=0) / count
    spread = np.sqrt((np.square(odds - mean) * absent).sum(axis=0) / count)
    # A class that scores nearly alike everywhere must not turn one lucky score into evidence.
    return mean, np.maximum(spread, max(float(np.median(spread)), 1e-3))
