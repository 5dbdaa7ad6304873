"""The losses of RAM."""

from __future__ import annotations

import torch
from torch import Tensor


def asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma_neg: float,
    gamma_pos: float = 0.0,
    clip: float = 0.05,
    weight: Tensor | None = None,
    eps: float = 1e-8,
) -> Tensor:
    """Asymmetric loss (Ridnik et al. 2021, eq. 4-6), summed over batch and labels.

    For a positive: -(1 - p)^gamma_pos log p. For a negative, with p_m = max(p - clip, 0):
    -p_m^gamma_neg log(1 - p_m). No gradient flows through the focusing weight. With both gammas and
    the clip at 0 it is binary cross-entropy.

    Args:
        logits, targets: (B, L); targets are 0 or 1.
        weight: (B, L), 0 where it is unknown whether the label is there, 1 where it is certain.
    """
    probability = torch.sigmoid(logits)
    absent = (1 - probability + clip).clamp(max=1)
    log_likelihood = targets * torch.log(probability.clamp(min=eps))
    log_likelihood = log_likelihood + (1 - targets) * torch.log(absent.clamp(min=eps))
    if gamma_neg > 0 or gamma_pos > 0:
        right = (probability * targets + absent * (1 - targets)).detach()
        gamma = gamma_pos * targets + gamma_neg * (1 - targets)
        log_likelihood = log_likelihood * (1 - right) ** gamma
    if weight is not None:
        log_likelihood = log_likelihood * weight
    return -log_likelihood.sum()


def caption_loss(logits: Tensor, targets: Tensor, smoothing: float, ignore: int) -> Tensor:
    """Cross-entropy of the next word piece with label smoothing; (B, T, V) against (B, T)."""
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), label_smoothing=smoothing, ignore_index=ignore
    )
