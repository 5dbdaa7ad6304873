"""Figures of merit for multi-label scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Evaluation:
    """`overall` figures by name; `per_class` AP (L,), NaN for classes without positives."""

    overall: dict[str, float]
    per_class: Floats


def evaluate_scores(scores: Floats, targets: Floats, threshold: float | Floats = 0.5) -> Evaluation:
    """mAP, and class-wise and overall precision, recall and F1 for scores >= threshold.

    `threshold` is one for all or one per class (L,). Scores that tie are one step of the curve.

    Classes without positives are left out of all class means (the published script counts their AP
    as 0); a class that is never predicted has precision 0. `scores` and `targets` are (N, L).
    """
    from sklearn.metrics import average_precision_score  # a second to import

    shown = targets.sum(axis=0) > 0
    per_class = np.full(targets.shape[1], np.nan, np.float32)
    for column in np.flatnonzero(shown):
        per_class[column] = average_precision_score(targets[:, column], scores[:, column])
    predicted = scores >= threshold
    right = (predicted * targets)[:, shown].sum(axis=0)
    said = predicted[:, shown].sum(axis=0)
    there = targets[:, shown].sum(axis=0)
    precision, recall = _share(right, said), _share(right, there)
    cp, cr = (float(np.mean(x)) if shown.any() else 0.0 for x in (precision, recall))
    op = float(_share(right.sum(), said.sum()))
    or_ = float(_share(right.sum(), there.sum()))
    overall = {
        "mAP": float(np.nanmean(per_class)) if shown.any() else 0.0,
        "CP": cp, "CR": cr, "CF1": _f1(cp, cr), "OP": op, "OR": or_, "OF1": _f1(op, or_),
        "classes": float(shown.sum()),
    }  # fmt: skip
    return Evaluation(overall, per_class)


RESAMPLES = 200


def intervals(
    scores: Floats, targets: Floats, threshold: float | Floats = 0.5, *, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % intervals of the overall figures, from 200 resamplings of the images.

    An image that is drawn k times counts k times. A class that a resampling shows no positive of is
    left out of that resampling's class means. Average precision is higher where images are doubled,
    which is no property of the model: so an interval is how far the resamplings lie from their own
    mean, laid round the figure itself.
    """
    if not len(scores):
        return {}
    random = np.random.default_rng(seed)
    count = len(scores)
    drawn_so = random.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    # The first row is the figure itself.
    weights = np.vstack([np.ones(count), drawn_so]).astype(np.float64)
    predicted = (scores >= threshold).astype(np.float64)
    right, said, there = (weights @ x for x in (predicted * targets, predicted, targets))
    shown = there > 0
    average = np.full(there.shape, np.nan)
    for column in np.flatnonzero(targets.any(axis=0)):
        order = np.argsort(-scores[:, column], kind="stable")
        falling, drawn = scores[order, column], weights[:, order]
        # Scores that tie are one step: it ends with the last of them.
        ends = np.flatnonzero(np.append(falling[1:] < falling[:-1], True))
        given = np.cumsum(drawn, axis=1)[:, ends]
        hits = np.cumsum(drawn * targets[order, column], axis=1)[:, ends]
        gained = np.diff(hits, axis=1, prepend=0) * hits / np.maximum(given, 1)
        average[:, column] = gained.sum(axis=1) / np.maximum(there[:, column], 1)

    def over_classes(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] = np.where(shown, values, 0).sum(axis=1)
        mean: npt.NDArray[np.float64] = total / np.maximum(shown.sum(axis=1), 1)
        return mean

    cp = over_classes(right / np.maximum(said, 1e-12) * (said > 0))
    cr = over_classes(right / np.maximum(there, 1e-12))
    kept_right, kept_said = ((np.where(shown, x, 0)).sum(axis=1) for x in (right, said))
    op = kept_right / np.maximum(kept_said, 1e-12)
    or_ = kept_right / np.maximum(there.sum(axis=1), 1e-12)
    figures = {
        "mAP": over_classes(np.nan_to_num(average)), "CP": cp, "CR": cr,
        "CF1": 2 * cp * cr / np.maximum(cp + cr, 1e-12), "OP": op, "OR": or_,
        "OF1": 2 * op * or_ / np.maximum(op + or_, 1e-12),
    }  # fmt: skip
    return {name: _around(values[0], values[1:]) for name, values in figures.items()}


def _around(figure: float, resampled: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = figure + np.percentile(resampled, (2.5, 97.5)) - resampled.mean()
    return max(0.0, float(low)), min(1.0, float(high))


def mean_average_precision(scores: Floats, targets: Floats, known: Floats | None = None) -> float:
    """mAP as in `evaluate_scores`, quick enough to choose settings by; all (N, L).

    Pairs with `known` 0 are left out. Ties are broken by row. 0 without any positive.
    """
    if known is not None:
        scores, targets = np.where(known > 0, scores, -np.inf), targets * known
    order = np.argsort(-scores, axis=0, kind="stable")
    hits = np.take_along_axis(targets, order, axis=0)
    precision = np.cumsum(hits, axis=0) / np.arange(1, len(hits) + 1)[:, None]
    positives = targets.sum(axis=0)
    shown = positives > 0
    if not shown.any():
        return 0.0
    return float(((precision * hits).sum(axis=0)[shown] / positives[shown]).mean())


def _share(part: Floats, whole: Floats) -> Floats:
    nothing = np.zeros_like(part, dtype=np.float64)
    result: Floats = np.divide(part, whole, out=nothing, where=whole > 0)
    return result


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def log_odds(scores: Floats) -> Floats:
    """Of probabilities, within six decimals of 0 and 1."""
    result: Floats = special.logit(np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6))
    return result.astype(np.float32)
