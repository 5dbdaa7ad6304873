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

from model.clip import CLIP_MEAN, CLIP_STD, Clip
from model.errors import ModelError
from model.image_tagger import BATCH, Floats
from model.pixels import Pixels
from model.text import TEMPLATES


@dataclass(frozen=True)
class ClipTagger:
    """CLIP (Radford et al. 2021): cosine of image and mean sentence; nothing is calibrated."""

    clip: Clip
    names: tuple[str, ...] = ()
    thresholds: None = None
    queries: Floats | None = None

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
            ModelError: there is none.
        """
        from transformers import AutoTokenizer, BlipForImageTextRetrieval

        try:
            model: Any = BlipForImageTextRetrieval.from_pretrained(folder, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{folder}: no BLIP retrieval model with its tokenizer "
                f"({str(error).splitlines()[0]})"
            ) from error
        return cls(model.eval(), tokenizer)

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

    @torch.inference_mode()
    def asked(self, names: Sequence[str]) -> BlipTagger:
        """Any names."""
        total = torch.zeros(len(names), self.model.text_proj.out_features)
        for template in TEMPLATES:
            words = self.tokenizer(
                [template.format(name) for name in names], padding=True, return_tensors="pt"
            )
            states = self.model.text_encoder(
                words.input_ids, attention_mask=words.attention_mask
            ).last_hidden_state
            total += nn.functional.normalize(self.model.text_proj(states[:, 0]), dim=-1)
        queries = nn.functional.normalize(total, dim=-1).numpy()
        return replace(self, names=tuple(names), queries=queries)


def _cosines(pictures: Sequence[Image.Image], queries: Floats | None, embed: Any) -> Floats:
    if queries is None:
        raise ModelError("a zero-shot model has no tags of its own; say which by --tags")
    rows = []
    for start in range(0, len(pictures), BATCH):
        images = nn.functional.normalize(embed(pictures[start : start + BATCH]), dim=-1)
        rows.append(images.numpy() @ queries.T)
    return np.concatenate(rows) if rows else np.zeros((0, len(queries)), np.float32)
