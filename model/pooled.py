"""Logistic regression for all labels at once on mean features, tied together by label queries.

A label's weights are its own plus what its query predicts (a bilinear map, as in Romera-Paredes and
Torr 2015), both under a penalty. Labels that read alike thus learn from each other, which helps
those with few images. The problem is convex; some L-BFGS steps come near enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from model.steps import minimise

TEXT_SHARE = 0.5
"""How far weights may follow the query, against 1 for a label's own."""
CHUNK = 4096
"""Images per pass; bounds memory."""


@dataclass(frozen=True)
class Pooled:
    """`weight` (L, C) and `bias` (L,) of logits over mean features."""

    weight: Tensor
    bias: Tensor

    def __call__(self, means: Tensor) -> Tensor:
        """Logits (N, L) for mean features (N, C)."""
        return torch.nn.functional.linear(means, self.weight, self.bias)


def centred(queries: Tensor, among: Tensor) -> Tensor:
    """Queries (M, T) less the mean of `among` (L, T), in units of the latter's mean length."""
    mean = among.mean(dim=0)
    length = (among - mean).square().sum(dim=1).mean().sqrt().clamp(min=1e-6)
    result: Tensor = (queries - mean) / length
    return result


def fit_pooled(
    means: Tensor, targets: Tensor, known: Tensor, queries: Tensor, penalty: float,
    bias: Tensor, *, steps: int = 15,
) -> Pooled:  # fmt: skip
    """Fit all labels of `targets` (N, L) on `means` (N, C); pairs with `known` 0 do not count.

    `penalty` is the precision of the weights' normal prior for features of unit variance, to which
    they are scaled here; `queries` is (L, T), `bias` (L,) the start.
    """
    scale = means.std(dim=0, correction=0).clamp(min=1e-4)
    scaled, texts = means / scale, centred(queries, queries)
    own = torch.zeros(means.shape[1], len(queries), requires_grad=True)
    shared = torch.zeros(means.shape[1], queries.shape[1], requires_grad=True)
    bias = bias.clone().requires_grad_(True)

    def loss() -> Tensor:
        # Chunks get their gradient with respect to the joined weights; these pass it on once.
        weight = own + TEXT_SHARE * shared @ texts.T
        joined = weight.detach().requires_grad_(True)
        total = torch.zeros(())
        for rows in torch.split(torch.arange(len(scaled)), CHUNK):
            part = binary_cross_entropy_with_logits(
                scaled[rows] @ joined + bias, targets[rows], known[rows], reduction="sum"
            )
            torch.autograd.backward(part)
            total = total + part.detach()
        prior = 0.5 * penalty * (own.square().sum() + shared.square().sum())
        torch.autograd.backward([weight, prior], [joined.grad, None])
        return total + prior.detach()

    minimise(loss, [own, shared, bias], steps)
    with torch.no_grad():
        weight = (own + TEXT_SHARE * shared @ texts.T) / scale[:, None]
    return Pooled(weight.T.contiguous(), bias.detach())
