"""The tagger: image tokens and label queries in, one logit per label out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.decoder import RecognitionDecoder
from model.encoder import blank_blocks
from model.last_blocks import LastBlocks
from model.open import START, open_logits
from model.second_look import SecondLook
from model.windows import batches, split

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
START_TEMPERATURE = 0.12
"""Of the soft maximum: towards 0 it is the maximum, towards infinity the mean."""
LOG_TEMPERATURES = (-3.0, 2.0)
"""Bounds in training: near 0 only one position would learn."""


class Tagger(nn.Module):
    """RAM's recognition branch, over the last blocks of an encoder that it owns.

    `maps` are what these make of stored features; without them features are maps already.

    Tokens are the mean over windows (`model/windows.py`), then the windows themselves, standardised
    per channel. Besides RAM's shared weight vector each label has weights of its own (as Tag2Text
    has per class): some look at every window and are pooled by a soft maximum, since a thing fills
    few windows, others look at the mean over all, since a place is everywhere. With a thousand
    images that read-out carries most of the knowledge; the decoder learns what labels have in
    common. Where that view says a label is, it is looked at again (`model/second_look.py`).
    """

    queries: Tensor
    mean: Tensor
    std: Tensor
    open_setting: Tensor
    logit_mean: Tensor
    logit_std: Tensor
    pooled: Tensor

    def __init__(
        self, channels: int, queries: Tensor, hidden: int, layers: int, heads: int, dropout: float,
        readout_dropout: float, encoder: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.shape: dict[str, Any] = {
            "channels": channels, "hidden": hidden, "layers": layers, "heads": heads,
            "dropout": dropout, "readout_dropout": readout_dropout, "encoder": encoder,
        }  # fmt: skip
        self.last_blocks: LastBlocks | None = None
        if encoder is not None:
            self.take(encoder, blank_blocks(encoder))
        self.register_buffer("queries", queries)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        # Of the labels' logits on images not trained on; what open labels are made of.
        self.register_buffer("logit_mean", torch.zeros(len(queries)))
        self.register_buffer("logit_std", torch.ones(len(queries)))
        self.register_buffer("open_setting", torch.tensor(START))
        # Penalty and share of the pooled read-out as chosen; 0: no images were held out to choose.
        self.register_buffer("pooled", torch.zeros(2))
        self.second = SecondLook(channels, len(queries))
        self.image_proj = nn.Linear(channels, hidden)
        self.decoder = RecognitionDecoder(
            queries.shape[1], hidden, hidden, 2 * hidden, layers, heads, dropout
        )
        self.readout = nn.Linear(channels, len(queries))
        self.overview = nn.Linear(channels, len(queries), bias=False)
        for start in (self.readout.weight, self.readout.bias, self.overview.weight):
            nn.init.zeros_(start)
        # Each label learns how sharply it looks.
        self.log_temperature = nn.Parameter(
            torch.full((len(queries),), math.log(START_TEMPERATURE))
        )
        self.readout_dropout = nn.Dropout(readout_dropout)

    @property
    def labels(self) -> int:
        """How many labels it knows."""
        return len(self.queries)

    def tokens(self, positions: Tensor) -> Tensor:
        """(B, P, C) to (B, 1 + P, H): the mean token first, as in RAM."""
        both = torch.cat([positions.mean(dim=1, keepdim=True), positions], dim=1)
        projected: Tensor = self.image_proj((both - self.mean) / self.std)
        return projected

    def forward(self, positions: Tensor, chosen: Tensor | None = None) -> Tensor:
        """Logits (B, L) for positions (B, P, C), or (B, |chosen|) for some labels only."""
        logits = self.read_out(positions, chosen)
        if not self.training and self.decoder.silent:
            return logits
        queries = self.queries if chosen is None else self.queries[chosen]
        both: Tensor = logits + self.decoder(queries, self.tokens(positions))
        return both

    def open_logits(self, positions: Tensor, queries: Tensor) -> Tensor:
        """Logits (B, M) of labels that it was not trained on, for queries (M, text_dim).

        Made of the logits of labels whose queries are near (`model/open.py`). A label that it knows
        is better asked by `forward`.
        """
        logits = (self.both(positions) - self.logit_mean) / self.logit_std
        return open_logits(logits, self.queries, queries, self.open_setting)

    @property
    def temperature(self) -> Tensor:
        """Of each soft maximum (L,)."""
        return self.log_temperature.exp()

    def read_out(self, positions: Tensor, chosen: Tensor | None = None) -> Tensor:
        """The logits (B, L) of the labels' own weights: soft maximum over positions, plus mean."""
        every = slice(None) if chosen is None else chosen
        weight, bias = self.readout.weight[every], self.readout.bias[every]
        temperature = self.temperature[every]
        states = (positions - self.mean) / self.std
        if self.training:
            # Whole channels fall out, the same at all positions of an image.
            states = states * self.readout_dropout(torch.ones_like(states[:, :1]))
        evidence = nn.functional.linear(states, weight) / temperature
        count = math.log(positions.shape[1])
        nearest = temperature * (torch.logsumexp(evidence, dim=1) - count)
        return nearest + nn.functional.linear(states.mean(dim=1), self.overview.weight[every], bias)

    def look(self, parts: Tensor) -> Tensor:
        """Log-odds (..., L) that a part of an image, features (..., C), shows a label."""
        odds: Tensor = self.second((parts - self.mean) / self.std)
        return odds

    def both(self, windows: Tensor) -> Tensor:
        """Logits (B, L) of the whole image's view and of its best window's look, weighed."""
        return self.second.weigh(self(windows), self.look(windows).amax(dim=1))

    def take(self, encoder: str, blocks: LastBlocks) -> None:
        """Own the last blocks of an encoder from now on."""
        self.shape["encoder"], self.last_blocks = encoder, blocks.requires_grad_(False)

    def maps(self, features: Halves) -> Halves:
        """Feature maps (N, P, C) of stored features (N, S, D), by its own last blocks."""
        return features if self.last_blocks is None else self.last_blocks.maps(features)

    def score(self, features: Halves) -> Floats:
        """Probabilities (N, L) for stored features (N, S, D)."""
        parts = [self.score_maps(self.maps(part)) for part in split(features)]
        return np.concatenate(parts) if parts else np.zeros((0, self.labels), np.float32)

    @torch.inference_mode()
    def score_maps(self, maps: Halves) -> Floats:
        """Probabilities (N, L) for feature maps (N, P, C)."""
        self.eval()
        parts = [torch.sigmoid(self.both(part)).numpy() for part in batches(maps)]
        return np.concatenate(parts) if parts else np.zeros((0, self.labels), np.float32)

    @torch.inference_mode()
    def score_open(self, features: Halves, queries: Floats) -> Floats:
        """Probabilities (N, M) for features (N, S, D) of labels by queries (M, text_dim)."""
        self.eval()
        asked = torch.from_numpy(queries)
        parts = [
            torch.sigmoid(self.open_logits(windows, asked)).numpy()
            for part in split(features)
            for windows in batches(self.maps(part))
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(queries)), np.float32)
