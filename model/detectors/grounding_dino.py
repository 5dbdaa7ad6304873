"""Grounding-DINO of transformers: a folder with its config and weights, never downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import GroundingDinoForObjectDetection

from model.detectors.prompts import tokenize
from model.errors import ModelError
from model.pretrained import open_pretrained


class GroundingDino:
    """The network behind `Network`."""

    def __init__(self, network: nn.Module) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.eval().to(self.device)

    @classmethod
    def open(cls, folder: Path) -> GroundingDino:
        """From a folder as `save_pretrained` writes it, such as grounding-dino-tiny.

        Raises:
            ModelError: it is none, or lacks weights.
        """
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"{folder}: no folder of Grounding-DINO (config.json, model.safetensors); "
                "download one and name it by --set ground.weights=FOLDER"
            )
        return cls(open_pretrained(folder, GroundingDinoForObjectDetection, "Grounding-DINO"))

    def __call__(self, pixels: Tensor, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See `Network`."""
        found = self.network(
            pixel_values=pixels,
            pixel_mask=pixels.new_ones((pixels.shape[0], *pixels.shape[2:]), dtype=torch.long),
            **tokenize(texts).to(pixels.device),
        )
        return found.logits, found.pred_boxes
