"""What every training loop here is made of: random order, loss, step, rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from model.config import TrainConfig
from model.losses import asymmetric_loss


def random_batches(count: int, epochs: int, batch: int) -> Iterator[Tensor]:
    """Rows of each step: every epoch is one random order of all."""
    for _ in range(epochs):
        order = torch.randperm(count)
        yield from torch.split(order, batch)


def tagging_loss(logits: Tensor, targets: Tensor, weight: Tensor, config: TrainConfig) -> Tensor:
    """Asymmetric loss per image."""
    total = asymmetric_loss(
        logits, targets, gamma_neg=config.gamma_neg, gamma_pos=config.gamma_pos,
        clip=config.clip, weight=weight,
    )  # fmt: skip
    return total / len(logits)


def take_step(
    loss: Tensor, optimizer: torch.optim.Optimizer, model: nn.Module, clip_norm: float
) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()


def minimise(
    loss: Callable[[], Tensor], weights: Sequence[Tensor], steps: int, tolerance: float = 1e-7
) -> None:
    """L-BFGS with a line search on a convex `loss`, which also computes the gradients.

    It ends after `steps`, or where no gradient exceeds `tolerance`.
    """
    optimizer = torch.optim.LBFGS(
        weights, max_iter=steps, tolerance_grad=tolerance, history_size=10,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def graded() -> Tensor:
        optimizer.zero_grad()
        return loss()

    step: Callable[[Callable[[], Tensor]], Tensor] = optimizer.step
    step(graded)


def rate_schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up, then half a cosine down to zero."""
    rising = max(1, int(steps * warmup))

    def rate(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
