"""Anything that scores pictures for a list of tags: our checkpoints, published ones, CLIP, BLIP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from model.checkpoint import CheckpointInfo
from model.clip import Clip
from model.encoder import Encoder
from model.errors import ModelError
from model.label_columns import Columns, columns_of, cuts_of, gathered, places_of
from model.pixels import Pixels
from model.published import PublishedLabels
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
        """Scores (L,) from which on a tag is given; None: not calibrated, so scores only rank."""

    @property
    def open_labels(self) -> frozenset[int]:
        """Places of names that it was not trained on."""

    def score(self, pictures: Sequence[Image.Image]) -> Floats:
        """(N, L), higher is surer."""

    def asked(self, names: Sequence[str]) -> ImageTagger:
        """The same for other names; raises ModelError where it cannot answer for one of them."""


@dataclass(frozen=True)
class LakeTagger:
    """A tagger that the cycle trained; names it never learned are open labels."""

    tagger: Tagger
    info: CheckpointInfo
    encoder: Encoder
    names: tuple[str, ...]
    thresholds: Floats | None
    columns: Columns

    @property
    def open_labels(self) -> frozenset[int]:
        """Places of names that it was not trained on."""
        return frozenset(n for n, own in enumerate(self.columns) if not own)

    def score(self, pictures: Sequence[Image.Image]) -> Floats:
        """Probabilities (N, L)."""
        return self.score_features(self.encoder.encode(pictures))

    def score_features(self, features: npt.NDArray[np.float16]) -> Floats:
        """Probabilities (N, L) of features (N, S, D) that its own encoder stored."""
        names = [self.names[place] for place in sorted(self.open_labels)]
        opened = (
            self.tagger.score_open(features, TextEncoder().label_queries(names)) if names else None
        )
        own = self.tagger.score(features) if any(self.columns) else None
        return gathered(own, self.columns, opened)

    def asked(self, names: Sequence[str], called: Sequence[str] | None = None) -> LakeTagger:
        """Names that it knows are answered by their own labels, the others become open labels.

        `called` says how its own tags are named by now; several that are one, and given as soon as
        any is, may bear one name.
        """
        columns = columns_of(names, self.info.tag_names if called is None else called)
        return replace(
            self, names=tuple(names), thresholds=cuts_of(self.thresholds, columns, min),
            columns=columns,
        )  # fmt: skip

    def of_tags(self, tag_ids: Sequence[int], meant: Sequence[int] | None = None) -> LakeTagger:
        """Tags by ID, which a name may share with another kind; with their thresholds.

        `meant` says what its own tags are by now; several may be one, as soon given as any.

        Raises:
            ValueError: it was not trained on one of them.
        """
        columns = places_of(tag_ids, self.info.tag_ids if meant is None else meant)
        if not all(columns):
            raise ValueError(f"tag {tag_ids[columns.index(())]}: the tagger does not know it")
        names = tuple(self.info.tag_names[first] for first, *_ in columns)
        cuts = cuts_of(self.thresholds, columns, min)
        return replace(self, names=names, thresholds=cuts, columns=columns)


@dataclass(frozen=True)
class RamTagger:
    """RAM, RAM++ or Tag2Text with its label list; `text` made its label queries."""

    model: RecognizeAnything
    labels: PublishedLabels
    names: tuple[str, ...]
    thresholds: Floats | None
    columns: Columns
    text: Clip | TextEncoder
    queries: Floats | None = None
    """Of the open labels, in order."""

    @classmethod
    def of(
        cls, model: RecognizeAnything, labels: PublishedLabels, text: Clip | TextEncoder
    ) -> RamTagger:
        """A network asked for all of its own labels."""
        cuts = None if labels.thresholds is None else np.array(labels.thresholds, np.float32)
        columns = tuple((place,) for place in range(len(labels.names)))
        return cls(model, labels, labels.names, cuts, columns, text)

    @property
    def open_labels(self) -> frozenset[int]:
        """Places of names that it was not trained on."""
        return frozenset(n for n, own in enumerate(self.columns) if not own)

    @torch.inference_mode()
    def score(self, pictures: Sequence[Image.Image]) -> Floats:
        """Probabilities (N, L)."""
        parts = []
        for start in range(0, len(pictures), BATCH):
            tokens = self.tokens(pictures[start : start + BATCH])
            own = self._sigmoid(tokens, None) if any(self.columns) else None
            opened = None if self.queries is None else self._sigmoid(tokens, self.queries)
            parts.append(gathered(own, self.columns, opened))
        return np.concatenate(parts) if parts else np.zeros((0, len(self.names)), np.float32)

    @torch.inference_mode()
    def tokens(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Image tokens (B, 1 + P, image_dim) of a few pictures."""
        look = Pixels(self.model.shape.swin.image_size)
        return self.model.tokens(torch.stack([look.inference(p) for p in pictures]))

    def _sigmoid(self, tokens: Tensor, queries: Floats | None) -> Floats:
        asked = None if queries is None else torch.from_numpy(queries)
        scores: Floats = torch.sigmoid(self.model.logits(tokens, asked)).numpy()
        return scores

    def asked(self, names: Sequence[str]) -> RamTagger:
        """Names of its list are answered by their own labels and thresholds, others are open.

        Raises:
            ModelError: a name is open and the text encoder of its label queries is not there.
        """
        columns = columns_of(names, self.labels.names)
        queries = None
        if opened := [name for name, own in zip(names, columns, strict=True) if not own]:
            width = self.model.shape.text_dim
            if width is None:
                raise ModelError(f"Tag2Text knows its own classes only, not {opened[0]!r}")
            if self.text.dim != width:
                raise ModelError(
                    f"{opened[0]!r} is not in its list, and label queries of width {width} need "
                    "the text encoder it was trained with; give the CLIP model by --clip FOLDER"
                )
            queries = self.text.label_queries(opened)
        cuts = cuts_of(self.labels.thresholds, columns, max)
        return replace(self, names=tuple(names), thresholds=cuts, columns=columns, queries=queries)
