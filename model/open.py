"""Labels that were never trained: their logits from those of labels whose queries are near.

Two ways that fail differently, added: kernel ridge regression from queries to the trained labels'
logits (what texts have in common), and a mean weighted by similarity (the few nearest labels). How
both are set and how much each counts is learned from the trained labels themselves, each in turn
left out, on images that the logits were not fitted on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from model.metrics import mean_average_precision
from model.pooled import centred

RIDGES = (0.3, 1.0, 3.0, 10.0)
WIDTHS = (0.03, 0.06, 0.1)
START = (1.0, 0.06, 0.5, 0.5, 0.0)
"""The setting of a tagger that learned none."""
SAMPLE = 200_000
"""Pairs of image and label that the weights of both ways are fitted on."""


def ridge_weights(seen: Tensor, queries: Tensor, ridge: float) -> Tensor:
    """(L, M): how much each seen label (L, T) counts for each open query (M, T)."""
    known, asked = centred(seen, seen), centred(queries, seen)
    kernel = known @ known.T + ridge * torch.eye(len(seen))
    weights: Tensor = torch.linalg.solve(kernel, known @ asked.T)
    return weights


def near_weights(seen: Tensor, queries: Tensor, width: float) -> Tensor:
    """(L, M): softmax of cosine similarity over `width`; columns sum to 1."""
    return torch.softmax(_cosine(seen, queries) / width, dim=0)


def ridge_left_out(logits: Tensor, seen: Tensor, ridge: float) -> Tensor:
    """Logits (N, L) of each label from all others; the closed form of leaving one out."""
    hat = ridge_weights(seen, seen, ridge)
    own = hat.diagonal()
    return (logits @ hat - logits * own) / (1 - own).clamp(min=1e-3)


def near_left_out(logits: Tensor, seen: Tensor, width: float) -> Tensor:
    """Logits (N, L) of each label from all others by similarity."""
    similar = _cosine(seen, seen).fill_diagonal_(-torch.inf)
    return logits @ torch.softmax(similar / width, dim=0)


def learn_open(logits: Tensor, targets: Tensor, known: Tensor, seen: Tensor) -> Tensor:
    """The setting [ridge, width, weight of each way, bias] (5,) that ranks left-out labels best.

    `logits` (N, L) are standardised per label, of images that were not trained on.
    """
    from sklearn.linear_model import LogisticRegression

    if len(seen) < 2:  # without it there is none left to learn from
        return torch.tensor(START)
    wanted, counts = targets.numpy(), known.numpy()
    ridges = [ridge_left_out(logits, seen, ridge) for ridge in RIDGES]
    widths = [near_left_out(logits, seen, width) for width in WIDTHS]
    best = int(np.argmax([mean_average_precision(x.numpy(), wanted, counts) for x in ridges]))
    near = int(np.argmax([mean_average_precision(x.numpy(), wanted, counts) for x in widths]))
    pairs = np.flatnonzero(counts)
    pairs = pairs[:: max(1, len(pairs) // SAMPLE)]
    ways = np.stack([x.numpy().ravel()[pairs] for x in (ridges[best], widths[near])], axis=1)
    present = wanted.ravel()[pairs]
    if 0 < present.sum() < len(present):
        model = LogisticRegression(C=1.0).fit(ways, present)
        # A way that speaks against itself is left out rather than turned round.
        first, second = np.maximum(model.coef_[0], 0.0)
        bias = float(model.intercept_[0])
    else:
        first, second, bias = 0.5, 0.5, 0.0
    return torch.tensor([RIDGES[best], WIDTHS[near], first, second, bias], dtype=torch.float32)


def open_logits(logits: Tensor, seen: Tensor, queries: Tensor, setting: Tensor) -> Tensor:
    """Logits (B, M) of open queries (M, T) from standardised ones (B, L) of seen labels."""
    ridge, width, first, second, bias = setting.tolist()
    weights = first * ridge_weights(seen, queries, ridge)
    weights = weights + second * near_weights(seen, queries, width)
    result: Tensor = logits @ weights + bias
    return result


def _cosine(seen: Tensor, queries: Tensor) -> Tensor:
    unit = torch.nn.functional.normalize
    similar: Tensor = unit(seen, dim=1) @ unit(queries, dim=1).T
    return similar
