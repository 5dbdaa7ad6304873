"""CLIP by path: RAM's teacher in training, and the text encoder of its label queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.encoder import MEAN, STD
from model.errors import ModelError
from model.text import TEMPLATES

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
BATCH = 64


class Clip:
    """A frozen CLIP from a local folder in the layout of transformers.

    Raises:
        ModelError: there is none in the folder.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from transformers import AutoTokenizer, CLIPModel

        try:
            model: Any = CLIPModel.from_pretrained(folder, local_files_only=True)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{folder}: no CLIP model with its tokenizer ({str(error).splitlines()[0]})"
            ) from error
        self._model = model.eval().requires_grad_(False).to(device)
        self.dim: int = model.config.projection_dim
        self.image_size: int = model.config.vision_config.image_size

    @torch.no_grad()
    def image_embeddings(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S), normalised as for RAM, give embeddings (B, dim), not normalised."""
        mean, std, clip_mean, clip_std = (
            torch.tensor(three, device=pixels.device)[:, None, None]
            for three in (MEAN, STD, CLIP_MEAN, CLIP_STD)
        )
        plain = nn.functional.interpolate(
            pixels * std + mean,
            size=(self.image_size, self.image_size),
            mode="bicubic",
            antialias=True,
        )
        found: Tensor = self._model.get_image_features(
            pixel_values=(plain - clip_mean) / clip_std
        ).pooler_output
        return found

    @torch.no_grad()
    def text_embeddings(self, texts: Sequence[str]) -> Tensor:
        """(N, dim), rows of length 1."""
        parts = []
        for start in range(0, len(texts), BATCH):
            words = self._tokenizer(
                list(texts[start : start + BATCH]), padding=True, truncation=True,
                return_tensors="pt",
            ).to(self._model.device)  # fmt: skip
            found = self._model.get_text_features(**words).pooler_output
            parts.append(nn.functional.normalize(found, dim=-1))
        return torch.cat(parts)

    def label_queries(self, names: Sequence[str]) -> npt.NDArray[np.float32]:
        """(L, dim) of length 1: the mean over several sentences about each label."""
        total = torch.zeros(len(names), self.dim, device=self._model.device)
        for template in TEMPLATES:
            total += self.text_embeddings([template.format(n.replace("_", " ")) for n in names])
        rows: npt.NDArray[np.float32] = nn.functional.normalize(total, dim=-1).cpu().numpy()
        return rows
