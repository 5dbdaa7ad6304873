"""Anything that scores pictures for a list of tags: our checkpoints, published ones, CLIP, BLIP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from model.checkpoint import CheckpointInfo
from model.clip import Clip
from model.encoder import ENCODERS, Encoder
from model.errors import ModelError
from model.pixels import Pixels
from model.ram import RecognizeAnything
from model.tagger import Tagger
from model.text import TextEncoder

Floats = npt.NDArray[np.float32]
BATCH = 8
"""Pictures in one forward pass of the large networks."""


class ImageTagger(Protocol):
    """Scores pictures for a list of names."""

    @property
    def names(self) -> tuple[str, ...]:
        """What it scores pictures for; empty before a zero-shot model is asked."""

    @property
    def thresholds(self) -> Floats | None:
        """Scores (L,) above which a tag is given; None: not calibrated, so scores only rank."""

    def score(self, pictures: Sequence[Image.Image]) -> Floats:
        """(N, L), higher is surer."""

    def asked(self, names: Sequence[str]) -> ImageTagger:
        """The same for other names; raises ModelError where it cannot answer for one of them."""


@dataclass(frozen=True)
class LakeTagger:
    """A tagger that the cycle trained; names it never learned are open labels."""

    tagger: Tagger
    info: CheckpointInfo
    names: tuple[str, ...]
    thresholds: Floats | None
    columns: tuple[int, ...]
    """The tagger's column of each name; -1 for an open label."""

    def score(self, pictures: Sequence[Image.Image]) -> Floats:
        """Probabilities (N, L)."""
        encoder = encoder_of(self.info)
        return self.score_features(
            np.concatenate([encoder.encode([picture]) for picture in pictures])
        )

    def score_features(self, features: npt.NDArray[np.float16]) -> Floats:
        """Probabilities (N, L) of feature maps (N, P, C) of its own encoder."""
        columns = np.array(self.columns, np.int64)
        scores = np.zeros((len(features), len(columns)), np.float32)
        known = columns >= 0
        if known.any():
            scores[:, known] = self.tagger.score(features)[:, columns[known]]
        if not known.all():
            asked = [name for name, column in zip(self.names, columns, strict=True) if column < 0]
            queries = TextEncoder().label_queries(asked)
            scores[:, ~known] = self.tagger.score_open(features, queries)
        return scores

    def asked(self, names: Sequence[str]) -> LakeTagger:
        """Known names keep their column, the others become open labels."""
        place = dict(zip(self.names, self.columns, strict=True))
        columns = tuple(place.get(name, -1) for name in names)
        return replace(self, names=tuple(names), thresholds=None, columns=columns)


def encoder_of(info: CheckpointInfo) -> Encoder:
    """The image encoder whose features a checkpoint was trained on.

    Raises:
        ModelError: none that is installed.
    """
    for make in ENCODERS.values():
        encoder = make(torch.get_num_threads())
        if encoder.digest == info.encoder:
            return encoder
    raise ModelError(f"trained on features of encoder {info.encoder}, which is not installed")


@dataclass(frozen=True)
class RamTagger:
    """RAM, RAM++ or Tag2Text with its label list."""

    model: RecognizeAnything
    names: tuple[str, ...]
    thresholds: Floats | None
    text: Clip | None = None
    queries: Floats | None = None

    @torch.inference_mode()
    def score(self, pictures: Sequence[Image.Image]) -> Floats:
        """Probabilities (N, L)."""
        look = Pixels(self.model.shape.swin.image_size)
        queries = None if self.queries is None else torch.from_numpy(self.queries)
        rows = []
        for start in range(0, len(pictures), BATCH):
            pixels = torch.stack([look.inference(p) for p in pictures[start : start + BATCH]])
            logits = self.model.logits(self.model.tokens(pixels), queries)
            rows.append(torch.sigmoid(logits).numpy())
        return np.concatenate(rows) if rows else np.zeros((0, len(self.names)), np.float32)

    def asked(self, names: Sequence[str]) -> RamTagger:
        """Any names, through the text encoder that it was trained with."""
        width = self.model.shape.text_dim
        encoder = self.text or TextEncoder()
        if width is None or encoder.dim != width:
            raise ModelError(
                f"label queries of width {width} need the text encoder it was trained with; give "
                "the CLIP model by --clip FOLDER (Tag2Text knows its own classes only)"
            )
        queries = encoder.label_queries(names)
        return replace(self, names=tuple(names), thresholds=None, queries=queries)
