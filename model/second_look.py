"""The second look: what a part of an image shows, told apart from all else of its kind.

The first view asks of the whole image whether each label is in it, and learns that buses mean
streets. Its evidence says where, and the region there, pooled, is an example of its label and of no
other label of the same kind: a street is no bus. A multinomial logistic regression learns that,
and is asked at every window. RAM compares whole images and regions to clean (section 3.3); here
regions teach the tagger as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.products import full_products
from model.steps import minimise

LARGEST = 20.0
"""Log-odds: surer a look is not."""
STRENGTH = 0.01
"""Inverse penalty of the regression, on standardised features."""
STEPS, TOLERANCE = 100, 1e-3
FEWEST = 2
"""Labels of a kind that regions must show; with one there is nothing to tell apart."""
SAMPLE = 200_000
"""Pairs of image and label that the weights of both views are fitted on."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class SecondLook(nn.Module):
    """Linear over a part's features; softmax over the labels of a kind.

    `kinds` (L,) numbers the labels' kinds; `looked` (L,) says which were learned from regions;
    `weights` are the shares of both views in the tagger's logits, and what is added to them.
    """

    kinds: Tensor
    looked: Tensor
    weights: Tensor

    def __init__(self, channels: int, labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, labels).requires_grad_(False)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("kinds", torch.zeros(labels, dtype=torch.int64))
        self.register_buffer("looked", torch.zeros(labels, dtype=torch.bool))
        self.register_buffer("weights", torch.tensor([1.0, 0.0, 0.0]))

    def forward(self, states: Tensor) -> Tensor:
        """Log-odds (..., L) for standardised features (..., C); 0 for labels not looked at."""
        logits = self.linear(states)
        odds = torch.zeros_like(logits)
        for kind in torch.unique(self.kinds[self.looked]):
            columns = torch.nonzero((self.kinds == kind) & self.looked).flatten()
            share = logits[..., columns].log_softmax(dim=-1)
            rest = torch.log1p(-share.exp().clamp(max=1 - 1e-7))
            odds[..., columns] = (share - rest).clamp(-LARGEST, LARGEST)
        return odds

    def weigh(self, whole: Tensor, odds: Tensor) -> Tensor:
        """Logits (B, L) of both views together; of the first alone where there is no other."""
        both: Tensor = self.weights[0] * whole + self.weights[1] * odds + self.weights[2]
        return torch.where(self.looked, both, whole)

    @torch.no_grad()
    def fit(self, parts: Tensor, labels: Ints, weights: Floats) -> None:
        """Learn from standardised features (R, C) of parts and the label (R,) that each shows.

        `weights` (R,) say how much each example counts.
        """
        self.looked.zero_()
        # Regions vary less than windows; the penalty is meant for features of spread 1.
        mean, spread = parts.mean(dim=0), parts.std(dim=0).clamp(min=1e-4)
        inputs, counts = (parts - mean) / spread, torch.from_numpy(weights)
        kinds = self.kinds.numpy()[labels]
        for kind in np.unique(kinds):
            rows = np.flatnonzero(kinds == kind)
            shown, classes = np.unique(labels[rows], return_inverse=True)
            if len(shown) < FEWEST:
                continue
            weight, bias = _regression(
                inputs[rows], torch.from_numpy(classes), counts[rows], len(shown)
            )
            self.linear.weight[shown] = weight / spread
            self.linear.bias[shown] = bias - (weight / spread) @ mean
            self.looked[shown] = True

    @torch.no_grad()
    def learn_weights(self, whole: Tensor, odds: Tensor, targets: Tensor, known: Tensor) -> None:
        """How much each view counts: logistic regression on pairs (N, L) not trained on."""
        from sklearn.linear_model import LogisticRegression

        use = (known > 0) & self.looked
        pairs = torch.stack([whole[use], odds[use]], dim=1).numpy()
        there = targets[use].numpy()
        rows = np.random.default_rng(0).permutation(len(there))[:SAMPLE]
        if len(np.unique(there[rows])) < 2:
            return
        fitted = LogisticRegression(C=np.inf).fit(pairs[rows], there[rows])
        first, second = np.maximum(fitted.coef_[0], 0)
        if first + second > 0:
            self.weights.copy_(torch.tensor([first, second, fitted.intercept_[0]]))


@full_products()
@torch.enable_grad()
def _regression(
    inputs: Tensor, classes: Tensor, counts: Tensor, number: int
) -> tuple[Tensor, Tensor]:
    """Weights (K, C) and biases (K,) of penalised multinomial regression of classes (R,).

    The weights of scikit-learn's, which takes nine times as long for 24 images.
    """
    weight = torch.zeros(number, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(number, requires_grad=True)
    total = counts.sum()

    def loss() -> Tensor:
        wrong = nn.functional.cross_entropy(inputs @ weight.T + bias, classes, reduction="none")
        value = ((wrong * counts).sum() + weight.square().sum() / (2 * STRENGTH)) / total
        torch.autograd.backward(value)
        return value

    minimise(loss, [weight, bias], STEPS, TOLERANCE)
    return weight.detach(), bias.detach()
