"""Recognize Anything as in its figure 3, with RAM++ and Tag2Text as choices of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from model.decoder import RecognitionDecoder
from model.errors import ModelError
from model.label_queries import (
    DescribedQueries,
    FixedQueries,
    LabelQueries,
    LearnedQueries,
    check_queries,
)
from model.losses import asymmetric_loss
from model.swin import SWIN_B, SWIN_L, SwinEncoder, SwinShape
from model.text_networks import TagGuidedCaptioner, TextShape

Variant = Literal["ram", "ram_plus", "tag2text"]


@dataclass(frozen=True)
class RamShape:
    """What decides the sizes of all tensors; the defaults are those of the published networks.

    Attributes:
        descriptions: of each label; 1 but for RAM++.
        text_dim: width of the label queries, and of the image tokens that the decoder looks at.
            None: no projection of either, as in Tag2Text.
        text: the captioner's sizes; None without one.
    """

    variant: Variant
    swin: SwinShape
    labels: int = 4585
    descriptions: int = 1
    text_dim: int | None = 512
    hidden: int = 768
    feed_forward: int = 3072
    layers: int = 2
    heads: int = 4
    text: TextShape | None = None
    dropout: float = 0.1

    @property
    def image_dim(self) -> int:
        """Width of the image tokens that decoder and captioner look at."""
        return self.swin.dim if self.text_dim is None else self.text_dim

    def at(self, image_size: int) -> RamShape:
        """The same network for another image size."""
        return replace(self, swin=self.swin.at(image_size))


RAM_SWIN_L = RamShape("ram", SWIN_L, text=TextShape())
RAM_PLUS_SWIN_L = RamShape("ram_plus", SWIN_L, descriptions=51)
TAG2TEXT_SWIN_B = RamShape("tag2text", SWIN_B, labels=3429, text_dim=None, text=TextShape())


@dataclass(frozen=True)
class Losses:
    """The parts of a step's loss, each a scalar; None where a network or the data has no such."""

    tags: Tensor
    caption: Tensor | None = None
    distillation: Tensor | None = None
    alignment: Tensor | None = None

    @property
    def total(self) -> Tensor:
        """What is minimised (RAM, section 3; RAM's own code).

        With a captioner the tag loss, a sum over images and labels, is brought to the size of the
        caption loss; its gradient keeps its direction. RAM++ adds its parts as they are.
        """
        tags = self.tags
        if self.caption is not None:
            tags = self.caption + tags / (tags / self.caption).detach()
        extra = (part for part in (self.distillation, self.alignment) if part is not None)
        return sum(extra, start=tags)


class RecognizeAnything(nn.Module):
    """Image encoder, label queries, recognition decoder, and a captioner where there is one."""

    queries: LabelQueries

    def __init__(self, shape: RamShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = SwinEncoder(shape.swin)
        if shape.text_dim is None:
            self.image_proj = None
            self.queries = LearnedQueries(shape.labels, shape.hidden)
        else:
            self.image_proj = nn.Linear(shape.swin.dim, shape.text_dim)
            rows = torch.zeros(shape.labels * shape.descriptions, shape.text_dim)
            self.queries = (
                DescribedQueries(rows, shape.labels)
                if shape.variant == "ram_plus"
                else FixedQueries(rows)
            )
        self.decoder = RecognitionDecoder(
            shape.text_dim, shape.hidden, shape.image_dim, shape.feed_forward, shape.layers,
            shape.heads, shape.dropout, shape.labels if shape.variant == "tag2text" else None,
            attention_dropout=shape.dropout,
        )  # fmt: skip
        self.captioner = (
            TagGuidedCaptioner(shape.text, shape.image_dim, self.decoder, shape.dropout)
            if shape.text
            else None
        )

    def set_queries(self, embedding: Tensor) -> None:
        """Make other labels the network's own: text queries (L, text_dim) of any L.

        Raises:
            ModelError: its queries are no plain text queries, or of another width, or one is zero.
        """
        if not isinstance(self.queries, FixedQueries) or embedding.shape[1] != self.shape.text_dim:
            raise ModelError(
                f"label queries of width {embedding.shape[1]} do not fit {self.shape.variant} with "
                f"queries of width {self.shape.text_dim}; take the text encoder it was trained with"
            )
        check_queries(embedding)
        self.shape = replace(self.shape, labels=len(embedding))
        self.queries = FixedQueries(embedding)

    def tokens(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) give image tokens (B, 1 + P, image_dim), the global one first."""
        tokens: Tensor = self.encoder(pixels)
        return tokens if self.image_proj is None else self.image_proj(tokens)

    def logits(self, tokens: Tensor, queries: Tensor | None = None) -> Tensor:
        """Logits (B, L) of the network's own labels, or (B, M) of `queries` (M, text_dim).

        Raises:
            ModelError: other queries are asked of a network with fixed classes.
        """
        if queries is None:
            queries = self.queries(tokens[:, 0])
        elif self.shape.text_dim is None:
            raise ModelError("Tag2Text knows its own classes only; use RAM or RAM++ for others")
        result: Tensor = self.decoder(queries, tokens)
        return result

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) give logits (B, L); a tag's score is their sigmoid."""
        return self.logits(self.tokens(pixels))

    def captions(self, pixels: Tensor, tags: Sequence[Sequence[str]], **limits: int) -> list[str]:
        """One caption an image, guided by its tags; limits as in `TagGuidedCaptioner.pieces`."""
        return self.say(self.tokens(pixels), tags, **limits)

    def say(self, tokens: Tensor, tags: Sequence[Sequence[str]], **limits: int) -> list[str]:
        """`captions` of image tokens that are there already."""
        return self._captioner().captions(tokens, tags, **limits)

    def losses(
        self, pixels: Tensor, targets: Tensor, *, tags: Sequence[Sequence[str]] = (),
        captions: Sequence[str] = (), teacher: Tensor | None = None, texts: Tensor | None = None,
    ) -> Losses:  # fmt: skip
        """The losses of one batch of B images, as in RAM's own code.

        Args:
            targets: (B, L), 0 or 1.
            tags, captions: per image one caption and its own tags, for a network with a captioner.
            teacher: (B, text_dim), CLIP's image embeddings, not normalised; they are distilled.
            texts: (B, text_dim), CLIP's text embeddings of the captions; RAM++ aligns them.
        """
        tokens = self.tokens(pixels)
        caption = distillation = alignment = None
        if captions:
            caption = self._captioner().loss(tokens, tags, captions)
        if teacher is not None:
            distillation = nn.functional.l1_loss(tokens[:, 0], teacher)
        if texts is not None:
            alignment = asymmetric_loss(
                self.logits(tokens, texts).float(), torch.eye(len(texts), device=texts.device),
                gamma_neg=4, gamma_pos=0, clip=0.05,
            )  # fmt: skip
        recognised = asymmetric_loss(
            self.logits(tokens).float(), targets, gamma_neg=7, gamma_pos=0, clip=0.05
        )
        return Losses(recognised, caption, distillation, alignment)

    def _captioner(self) -> TagGuidedCaptioner:
        if self.captioner is None:
            raise ModelError(f"{self.shape.variant} has no captioner; RAM and Tag2Text have one")
        return self.captioner
