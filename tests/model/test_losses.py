"""Asymmetric loss and caption loss against the published equations written in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model.losses import asymmetric_loss, caption_loss

Array = npt.NDArray[np.float64]


def by_equation(
    logits: Array, truth: Array, gamma_neg: float, gamma_pos: float, clip: float
) -> Array:
    """Ridnik et al. 2021, equations 4 to 6, one entry at a time."""
    p = 1 / (1 + np.exp(-logits))
    shifted = np.maximum(p - clip, 0)
    positive = -((1 - p) ** gamma_pos) * np.log(p)
    negative = -(shifted**gamma_neg) * np.log(1 - shifted)
    result: Array = np.where(truth == 1, positive, negative)
    return result


@pytest.mark.parametrize(
    ("gamma_neg", "gamma_pos", "clip"), [(7, 0, 0.05), (4, 1, 0.05), (0, 0, 0), (2, 0, 0.2)]
)
def test_asl_is_the_equation(gamma_neg: float, gamma_pos: float, clip: float) -> None:
    rng = np.random.default_rng(0)
    logits, truth = rng.normal(size=(5, 7)) * 3, (rng.random((5, 7)) < 0.3).astype(float)
    weight = rng.integers(0, 2, size=(5, 7)).astype(float)
    loss = asymmetric_loss(
        torch.tensor(logits), torch.tensor(truth), gamma_neg=gamma_neg, gamma_pos=gamma_pos,
        clip=clip, weight=torch.tensor(weight),
    )  # fmt: skip
    expected = (by_equation(logits, truth, gamma_neg, gamma_pos, clip) * weight).sum()
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_unknown_labels_give_no_gradient() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    weight = torch.tensor([[1.0, 0.0, 1.0]])
    asymmetric_loss(logits, torch.eye(3)[:1], gamma_neg=2, weight=weight).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad != 0).tolist() == [[True, False, True]]


def test_no_gradient_flows_through_the_focusing_weight() -> None:
    logits = torch.tensor([[1.0]], requires_grad=True)
    asymmetric_loss(logits, torch.zeros(1, 1), gamma_neg=3, clip=0.0).backward()  # type: ignore[no-untyped-call]
    p = torch.sigmoid(torch.tensor(1.0)).item()
    # d/dx of -log(1 - p) is p; the factor p^3 counts as a constant.
    assert logits.grad is not None
    assert logits.grad.item() == pytest.approx(p**3 * p, rel=1e-5)


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = asymmetric_loss(logits, torch.tensor([[0.0, 1.0]]), gamma_neg=7)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_caption_loss_smooths_and_ignores_padding() -> None:
    logits = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    log_p = logits.log_softmax(-1)[0]
    smooth = [-(0.9 * log_p[t, k] + 0.1 * log_p[t].mean()) for t, k in ((0, 2), (1, 3))]
    loss = caption_loss(logits, torch.tensor([[2, 3, 0]]), 0.1, 0)
    assert loss.item() == pytest.approx(float(sum(smooth)) / 2, rel=1e-5)
