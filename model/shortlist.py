"""A cheap first pass: a linear guess of the labels that the decoder is worth asking for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.errors import CheckpointError, ModelError

SHARE = 0.25
"""Of the labels that are asked for; the decoder then takes less than a third of its time."""
KEPT = 0.995
"""Of the tags above their thresholds that a shortlist must keep."""
FILE = "shortlist.safetensors"
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shortlist:
    """Guessed logits above their thresholds, in standard deviations of the guess's error.

    Attributes:
        weight, bias: (W, L) and (L,): from the image token to each label.
        kept: share of the tags above their thresholds that it kept on images it was not made from.
        images: how many those were.
    """

    weight: Tensor
    bias: Tensor
    kept: float
    images: int

    def choose(self, token: Tensor) -> Tensor:
        """Image tokens (B, W) give the labels (B, K) to ask for; K is a quarter of all."""
        count = math.ceil(SHARE * len(self.bias))
        best = (token @ self.weight + self.bias).topk(count, dim=1).indices
        return best.sort(dim=1).values

    def save(self, folder: Path) -> Path:
        """Write it beside a converted checkpoint."""
        about = {"kept": repr(self.kept), "images": str(self.images)}
        path = folder / FILE
        save_file({"weight": self.weight, "bias": self.bias}, path, about)
        return path

    @classmethod
    def load(cls, folder: Path, labels: int) -> Shortlist:
        """That of a converted checkpoint with so many labels.

        Raises:
            CheckpointError: there is none, it is damaged, or was made for other labels.
        """
        try:
            with safe_open(folder / FILE, "pt") as file:
                about = file.metadata()
                weight, bias = file.get_tensor("weight"), file.get_tensor("bias")
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{folder}: no readable shortlist; `tagwright models shortlist` makes one"
            ) from error
        if len(bias) != labels:
            raise CheckpointError(f"{folder}: a shortlist of {len(bias)} labels, not {labels}")
        return cls(weight, bias, float(about["kept"]), int(about["images"]))


def fit_shortlist(tokens: Tensor, logits: Tensor, cuts: Tensor, groups: Ints) -> Shortlist:
    """Ridge regression of a network's logits (N, L) on its image tokens (N, W).

    Three fifths of the images fit it, one chooses the ridge and tells the error of the guess, one
    judges. It needs no labels, only what the network says.

    Args:
        cuts: (L,), the logits above which tags are given.
        groups: (N,), the same for near-duplicates, which stay on one side.

    Raises:
        ModelError: no image to judge by has a tag above its threshold.
    """
    part = groups % 5
    fit, choose, judge = (torch.from_numpy(x) for x in (part < 3, part == 3, part == 4))
    above = logits[judge] > cuts
    if not fit.any() or not choose.any() or not above.any():
        raise ModelError(
            f"{len(tokens)} images are too few for a shortlist: none to judge by has a tag"
        )
    tokens, logits = tokens.double(), logits.double()
    centre, middle = tokens[fit].mean(dim=0), logits[fit].mean(dim=0)
    moved = tokens - centre
    square = moved[fit].T @ moved[fit]
    wanted = moved[fit].T @ (logits[fit] - middle)
    unit = torch.eye(len(square), dtype=square.dtype) * square.trace() / len(square)
    weights = [torch.linalg.solve(square + ridge * unit, wanted) for ridge in _RIDGES]
    errors = [moved[choose] @ weight + middle - logits[choose] for weight in weights]
    best = int(np.argmin([error.square().mean().item() for error in errors]))
    weight, spread = weights[best], errors[best].square().mean(dim=0).sqrt().clamp(min=1e-6)
    found = Shortlist(
        (weight / spread).float().contiguous(),
        ((middle - centre @ weight - cuts) / spread).float(),
        0.0,
        int(judge.sum()),
    )
    listed = torch.zeros_like(above)
    listed.scatter_(1, found.choose(tokens[judge].float()), True)
    kept = float((above & listed).sum() / above.sum())
    return Shortlist(found.weight, found.bias, kept, found.images)
