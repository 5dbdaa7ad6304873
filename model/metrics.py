"""Figures of merit for multi-label scores, and thresholds from held-out evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from model.tagger import Floats


@dataclass(frozen=True)
class Evaluation:
    """`overall` figures by name; `per_class` AP (L,), NaN for classes without positives."""

    overall: dict[str, float]
    per_class: Floats


def evaluate_scores(scores: Floats, targets: Floats, threshold: float = 0.5) -> Evaluation:
    """mAP, and class-wise and overall precision, recall and F1 for scores >= threshold.

    Classes without positives are left out of all class means (the published script counts their AP
    as 0); a class that is never predicted has precision 0. `scores` and `targets` are (N, L).
    """
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


def _share(part: Floats, whole: Floats) -> Floats:
    nothing = np.zeros_like(part, dtype=np.float64)
    result: Floats = np.divide(part, whole, out=nothing, where=whole > 0)
    return result


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


PRIOR = 4
"""Pseudo-observations at half the wanted precision, so that few lucky hits do not open a class."""


def precision_thresholds(scores: Floats, targets: Floats, wanted: float) -> Floats:
    """Per class the lowest score (L,) from which on the wanted precision is reached.

    The precision of the k best-scored images is estimated as
    (right + PRIOR * wanted / 2) / (k + PRIOR); equal scores are taken together. Classes that never
    reach it get a threshold above 1: they are not generated. `scores`, `targets` are (N, L).
    """
    thresholds = np.full(targets.shape[1], 2.0, np.float32)
    count = np.arange(1, len(scores) + 1)
    for column in range(targets.shape[1]):
        order = np.argsort(-scores[:, column], kind="stable")
        ranked, right = scores[order, column], np.cumsum(targets[order, column])
        precision = (right + 0.5 * PRIOR * wanted) / (count + PRIOR)
        last_of_its_score = np.append(ranked[1:] < ranked[:-1], True)
        good = np.flatnonzero((precision >= wanted) & (ranked > 0) & last_of_its_score)
        if len(good):
            thresholds[column] = ranked[good[-1]]
    return thresholds
