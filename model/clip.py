"""CLIP by path: RAM's teacher in training, and the text encoder of its label queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.encoder import MEAN, STD
from model.errors import ModelError
from model.pretrained import open_pretrained
from model.prompts import sentences
from model.text import prompt_ensemble

Floats = npt.NDArray[np.float32]
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
BATCH = 64


class Clip:
    """A frozen CLIP from a local folder in the layout of transformers.

    Raises:
        ModelError: there is none in the folder, or not all of its weights.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import CLIPModel

        self._model, self._tokenizer = open_local(folder, CLIPModel, "CLIP model")
        self.dim: int = self._model.config.projection_dim
        self.image_size: int = self._model.config.vision_config.image_size

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
        # It follows the pictures to the processor that they are on.
        found: Tensor = (
            self._model.to(pixels.device)
            .get_image_features(pixel_values=(plain - clip_mean) / clip_std)
            .pooler_output
        )
        return found

    def label_queries(self, names: Sequence[str]) -> Floats:
        """(L, dim) of length 1: means over 63 sentences about each label (`model/prompts.py`)."""
        return prompt_ensemble(names, self._embed, sentences)

    def _embed(self, texts: Sequence[str]) -> Floats:
        def network(words: Any) -> Tensor:
            found: Tensor = self._model.get_text_features(
                **words.to(self._model.device)
            ).pooler_output
            return found

        return embed_texts(texts, self._tokenizer, network)


def open_local(folder: Path, model_class: Any, what: str) -> tuple[Any, Any]:
    """A frozen model of transformers and its tokenizer, from a local folder.

    Raises:
        ModelError: there is none of that class, not all of its weights, or no tokenizer; `what` it
            should be is said.
    """
    from transformers import AutoTokenizer

    model = open_pretrained(folder, model_class, what)
    try:
        return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder}: no {what} with its tokenizer ({str(error).splitlines()[0]})"
        ) from error


@torch.no_grad()
def embed_texts(texts: Sequence[str], tokenizer: Any, network: Callable[[Any], Tensor]) -> Floats:
    """Texts as rows of length 1, in batches; `network` turns word pieces into embeddings."""
    parts = []
    for start in range(0, len(texts), BATCH):
        words = tokenizer(
            list(texts[start : start + BATCH]), padding=True, truncation=True, return_tensors="pt"
        )
        parts.append(nn.functional.normalize(network(words), dim=-1).cpu().numpy())
    return np.concatenate(parts)
