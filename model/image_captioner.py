"""Anything that says a sentence about pictures: our captioner, RAM and Tag2Text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from model.captioner import Captioner
from model.encoder import Encoder
from model.errors import ModelError
from model.image_tagger import BATCH, RamTagger
from model.tagger import Tagger

GUIDE_THRESHOLD = 0.68
"""From which a tag guides a caption where a checkpoint has no thresholds; the published default."""


class ImageCaptioner(Protocol):
    """Says one sentence about each picture."""

    def caption(self, pictures: Sequence[Image.Image]) -> list[str]:
        """Captions in the order of the pictures."""


@dataclass(frozen=True)
class LakeCaptioner:
    """A captioner of the cycle, guided by the best tags of the tagger that it looks through."""

    tagger: Tagger
    captioner: Captioner
    encoder: Encoder
    guides: int

    def caption(self, pictures: Sequence[Image.Image]) -> list[str]:
        """By greedy search, as the stage `generate` does."""
        maps = self.tagger.maps(self.encoder.encode(pictures))
        best = np.argsort(-self.tagger.score_maps(maps), axis=1, kind="stable")[:, : self.guides]
        return self.captioner.generate(maps, best.tolist())


@dataclass(frozen=True)
class RamCaptioner:
    """RAM or Tag2Text, guided by its own tags above their thresholds, in the list's order.

    Raises:
        ModelError: the network has no captioner.
    """

    tagger: RamTagger

    def __post_init__(self) -> None:
        if self.tagger.model.captioner is None:
            raise ModelError(
                f"{self.tagger.model.shape.variant} has no captioner; RAM and Tag2Text have one"
            )

    @torch.inference_mode()
    def caption(self, pictures: Sequence[Image.Image]) -> list[str]:
        """By beam search over 3 beams; tags that its checkpoint silences guide nothing."""
        captions: list[str] = []
        for start in range(0, len(pictures), BATCH):
            tokens = self.tagger.tokens(pictures[start : start + BATCH])
            captions += self.tagger.model.say(tokens, self.guides(tokens))
        return captions

    @torch.inference_mode()
    def guides(self, tokens: torch.Tensor) -> list[list[str]]:
        """The tags of each image that its caption is guided by."""
        labels = self.tagger.labels
        scores = torch.sigmoid(self.tagger.model.logits(tokens)).numpy()
        cuts = (
            GUIDE_THRESHOLD
            if labels.thresholds is None
            else np.array(labels.thresholds, np.float32)
        )
        given = scores > cuts
        given[:, list(labels.silenced)] = False
        return [[labels.names[place] for place in np.flatnonzero(row)] for row in given]
