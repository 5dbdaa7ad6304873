"""Teaching what a place shows, where the read-out sees an image's labels.

Labels of whole images let blocks be content with company: a bus is where there is a street. So, as
weakly supervised detectors teach themselves (Tang et al. 2017, https://arxiv.org/abs/1704.00138),
the place where a label's evidence is must show that label and no other of its kind. This is the
second look (`model/second_look.py`), learned together with the features that it looks at.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.boxes import LEVEL
from model.tagger import Tagger

DROPOUT = 0.2
"""Of a place's features."""
AROUND = 3
"""Positions along each side over which evidence is a mean: one alone is noisy."""


def places_loss(tagger: Tagger, maps: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy per image of its labels, each at its place, among the labels of its kind.

    `maps` (B, P, C); `targets` and `weight` (B, L), as for the loss of whole images.
    """
    states = (maps - tagger.mean) / tagger.std
    total = maps.new_zeros(())
    for positions, shares in zip(states, targets * weight, strict=True):
        labels = torch.nonzero(shares).flatten()
        if not len(labels):
            continue
        with torch.no_grad():
            where = places(tagger.readout.weight[labels] @ positions.T)
        seen = nn.functional.dropout(where @ positions, DROPOUT, tagger.training)
        others = tagger.second.kinds != tagger.second.kinds[labels][:, None]
        logits = tagger.second.linear(seen).masked_fill(others, -torch.inf)
        wrong = nn.functional.cross_entropy(logits, labels, reduction="none")
        total = total + (wrong * shares[labels]).sum()
    return total / len(maps)


def places(evidence: Tensor) -> Tensor:
    """How much each position counts (R, P), rows summing to 1, for evidence (R, P) over a square.

    All count alike whose surroundings are above a share (`LEVEL`) of the way from the median to the
    peak, as inside the boxes that are drawn in the end.
    """
    side = round(evidence.shape[1] ** 0.5)
    square = evidence.reshape(len(evidence), 1, side, side)
    smooth = nn.functional.avg_pool2d(
        square, AROUND, stride=1, padding=AROUND // 2, count_include_pad=False
    ).flatten(1)
    floor, peak = smooth.median(dim=1, keepdim=True).values, smooth.amax(dim=1, keepdim=True)
    inside = (smooth >= floor + LEVEL * (peak - floor)).float()
    return inside / inside.sum(dim=1, keepdim=True)
