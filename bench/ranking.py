"""Methods of cleaning compared: at their own cut, and where each loses as many right tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Pair = tuple[str, int]
"""(image ID, tag ID)."""
Bools = npt.NDArray[np.bool_]
LOSS = 0.03
"""Share of the right tags that every method may lose where all are compared."""


class Method(NamedTuple):
    """What a method drops, and how suspicious each pair is to it (None: it does not rank).

    Pairs without a suspicion are those that it cannot judge; they are the last to go.
    """

    dropped: set[Pair]
    suspicion: Mapping[Pair, float] | None


def compare(pairs: list[Pair], right: Bools, method: Method) -> dict[str, float | None]:
    """Shares of the wrong pairs removed and of the right ones lost by a method's own cut; the share
    of pairs that it ranks, the area under its ROC curve over all of them, and the share of wrong
    ones removed where it loses 3 % of the right ones.

    `right` (P,) says which of the `pairs` are; without both kinds, nothing can be told apart.
    """
    gone = np.array([pair in method.dropped for pair in pairs], bool)
    figures: dict[str, float | None] = {
        "removed_wrong": _share(gone[~right]), "lost_right": _share(gone[right]),
        "ranked": None, "auc": None, "removed_at_equal_loss": None,
    }  # fmt: skip
    if method.suspicion is None or right.all() or not right.any():
        return figures
    from sklearn.metrics import roc_auc_score, roc_curve

    least = min(method.suspicion.values(), default=0.0) - 1
    order = np.array([method.suspicion.get(pair, least) for pair in pairs])
    lost, removed, _ = roc_curve(~right, order, drop_intermediate=False)
    figures["ranked"] = _share(np.array([pair in method.suspicion for pair in pairs], bool))
    figures["auc"] = float(roc_auc_score(~right, order))
    figures["removed_at_equal_loss"] = float(removed[lost <= LOSS].max())
    return figures


def _share(flags: Bools) -> float | None:
    return float(flags.mean()) if len(flags) else None


def as_row(name: str, figures: Mapping[str, float | None]) -> dict[str, Any]:
    """The figures of a method as a row of a table."""
    return {"by": name, **figures}
