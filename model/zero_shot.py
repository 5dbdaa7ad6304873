"""CLIP and BLIP as taggers: how well a picture fits a sentence about each tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from model.clip import CLIP_MEAN, CLIP_STD, Clip, embed_texts, open_local
from model.errors import ModelError
from model.image_tagger import BATCH, Floats
from model.pixels import Pixels
from model.text import prompt_ensemble


@dataclass(frozen=True)
class ClipTagger:
    """CLIP (Radford et al. 2021): cosine of image and mean sentence; nothing is calibrated."""

    clip: Clip
    names: tuple[str, ...] = ()
    thresholds: None = None
    queries: Floats | None = None

    @property
    def open_labels(self) -> frozenset[int]:
        """All: it has no tags of its own."""
        return frozenset(range(len(self.names)))

    @torch.inference_mode()
    def score(self, pictures: Sequence[Image.Image]) -> Floats:
        """Cosines (N, L)."""
        look = Pixels(self.clip.image_size)
        return _cosines(
            pictures, self.queries,
            lambda part: self.clip.image_embeddings(torch.stack([look.inference(p) for p in part])),
        )  # fmt: skip

    def asked(self, names: Sequence[str]) -> ClipTagger:
        """Any names."""
        return replace(self, names=tuple(names), queries=self.clip.label_queries(names))


@dataclass(frozen=True)
class BlipTagger:
    """BLIP's image-text contrast (Li et al. 2022), without its matching head."""

    model: Any
    tokenizer: Any
    names: tuple[str, ...] = ()
    thresholds: None = None
    queries: Floats | None = None

    @classmethod
    def open(cls, folder: Path) -> BlipTagger:
        """A BLIP for image-text retrieval from a local folder in the layout of transformers.

        Raises:
            ModelError: there is none, or not all of its weights.
        """
        from transformers import BlipForImageTextRetrieval

        return cls(*open_local(folder, BlipForImageTextRetrieval, "BLIP retrieval model"))

    @property
    def open_labels(self) -> frozenset[int]:
        """All: it has no tags of its own."""
        return frozenset(range(len(self.names)))

    @torch.inference_mode()
    def score(self, pictures: Sequence[Image.Image]) -> Floats:
        """Cosines (N, L)."""
        # BLIP was trained with CLIP's mean and deviation.
        look = Pixels(self.model.config.vision_config.image_size, CLIP_MEAN, CLIP_STD)

        def embed(part: Sequence[Image.Image]) -> Tensor:
            pixels = torch.stack([look.inference(p) for p in part])
            seen: Tensor = self.model.vision_model(pixel_values=pixels).last_hidden_state
            found: Tensor = self.model.vision_proj(seen[:, 0])
            return found

        return _cosines(pictures, self.queries, embed)

    def asked(self, names: Sequence[str]) -> BlipTagger:
        """Any names."""

        def network(words: Any) -> Tensor:
            states = self.model.text_encoder(words.input_ids, attention_mask=words.attention_mask)
            found: Tensor = self.model.text_proj(states.last_hidden_state[:, 0])
            return found

        queries = prompt_ensemble(names, lambda texts: embed_texts(texts, self.tokenizer, network))
        return replace(self, names=tuple(names), queries=queries)


def _cosines(pictures: Sequence[Image.Image], queries: Floats | None, embed: Any) -> Floats:
    if queries is None:
        raise ModelError("a zero-shot model has no tags of its own; say which by --tags")
    rows = []
    for start in range(0, len(pictures), BATCH):
        images = nn.functional.normalize(embed(pictures[start : start + BATCH]), dim=-1)
        rows.append(images.cpu().numpy() @ queries.T)
    return np.concatenate(rows) if rows else np.zeros((0, len(queries)), np.float32)
