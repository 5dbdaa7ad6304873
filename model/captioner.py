"""A small tag-guided captioner: image tokens and tags in, a caption out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.products import half_layers
from model.stepping import Stepping
from model.tagger import Floats, Halves
from model.windows import batches
from model.word_pieces import word_pieces

BATCH = 32
PAD, BEGIN, END = 0, 1, 2
SPECIAL = ("[PAD]", "[DEC]", "[SEP]")
START = 0.02
"""Standard deviation of embeddings before training."""


class Captioner(nn.Module):
    """A transformer decoder over the word pieces of its training captions (RAM, figure 3).

    It attends to the image's windows and to the label queries of its tags.
    """

    queries: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self, channels: int, queries: Tensor, pieces: Sequence[str], hidden: int, layers: int,
        heads: int, dropout: float, max_pieces: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.pieces = tuple(pieces)
        self.shape = {
            "channels": channels, "hidden": hidden, "layers": layers, "heads": heads,
            "dropout": dropout, "max_pieces": max_pieces,
        }  # fmt: skip
        self.register_buffer("queries", queries)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self.image_proj = nn.Linear(channels, hidden)
        self.tag_proj = nn.Linear(queries.shape[1], hidden)
        self.embedding = nn.Embedding(len(self.pieces), hidden, padding_idx=PAD)
        # Small, as in BERT: they are the output weights, too, and large ones repeat what was said.
        nn.init.normal_(self.embedding.weight, std=START)
        nn.init.zeros_(self.embedding.weight[PAD])
        self.position = nn.Parameter(torch.randn(max_pieces, hidden) * START)
        layer = nn.TransformerDecoderLayer(
            hidden, heads, 4 * hidden, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerDecoder(layer, layers, nn.LayerNorm(hidden))

    @property
    def max_pieces(self) -> int:
        """Word pieces of a caption at most."""
        return int(self.shape["max_pieces"])

    def memory(self, positions: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder attends to: (B, P + G, H), and where it is padding (B, P + G).

        `positions` is (B, P, C); `tags` is (B, G), padded with -1.
        """
        with half_layers():
            image = self.image_proj((positions - self.mean) / self.std)
            guides = self.tag_proj(self.queries[tags.clamp(min=0)])
        nothing = torch.zeros(image.shape[:2], dtype=torch.bool)
        return torch.cat([image, guides], dim=1), torch.cat([nothing, tags < 0], dim=1)

    def forward(self, memory: Tensor, padding: Tensor, pieces: Tensor) -> Tensor:
        """Logits (B, T, V) of the piece after each of `pieces` (B, T)."""
        length = pieces.shape[1]
        states = self.embedding(pieces) + self.position[:length]
        causal = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)
        with half_layers():
            states = self.decoder(states, memory, tgt_mask=causal, memory_key_padding_mask=padding)
        return self._logits(states)

    @torch.inference_mode()
    def generate(self, features: Halves, tags: Sequence[Sequence[int]]) -> list[str]:
        """One caption per image, for maps (N, P, C) and tags, by greedy search.

        A piece is not said twice in a row of three.
        """
        self.eval()
        captions = []
        for start, part in zip(
            range(0, len(features), BATCH), batches(features, BATCH), strict=True
        ):
            memory, padding = self.memory(part, pad_tags(tags[start : start + BATCH]))
            captions += [self._text(row) for row in self._greedy(memory, padding)]
        return captions

    def _greedy(self, memory: Tensor, padding: Tensor) -> list[list[int]]:
        with half_layers():
            step = Stepping(self.decoder, memory, padding)
        pieces = torch.full((len(memory), 1), BEGIN)
        ended = torch.zeros(len(memory), dtype=torch.bool)
        for place in range(self.max_pieces - 1):
            states = self.embedding(pieces[:, -1:]) + self.position[place]
            with half_layers():
                states = step(states)
            logits = self._logits(states)[:, 0]
            logits[:, [PAD, BEGIN]] = -torch.inf
            # A repeated trigram is the mark of a decoder that goes round in circles.
            _forbid_repeats(logits, pieces)
            following = logits.argmax(dim=1).masked_fill(ended, PAD)
            pieces = torch.cat([pieces, following[:, None]], dim=1)
            ended |= following == END
            if bool(ended.all()):
                break
        return [row[1:] for row in pieces.tolist()]

    def _logits(self, states: Tensor) -> Tensor:
        """The output weight is tied to the word embeddings, as in RAM.

        In full: bfloat16 has few numbers near the largest logit, so that pieces would tie.
        """
        return nn.functional.linear(states.float(), self.embedding.weight)

    def _text(self, row: Sequence[int]) -> str:
        words = [self.pieces[p] for p in row if p not in (PAD, BEGIN, END)]
        text: str = word_pieces().decoder.decode(words)
        return text.strip()


def _forbid_repeats(logits: Tensor, pieces: Tensor) -> None:
    """Rule out any piece that would complete a bigram which the caption holds already."""
    for row, said in enumerate(pieces.tolist()):
        for first, second in pairwise(said[1:]):
            if first == said[-1] and second != END:
                logits[row, second] = -torch.inf


def pad_tags(tags: Sequence[Sequence[int]]) -> Tensor:
    """Tags per image as (B, G), padded with -1."""
    width = max((len(row) for row in tags), default=0)
    return (
        torch.tensor([[*row, *[-1] * (width - len(row))] for row in tags])
        .reshape(len(tags), width)
        .long()
    )


def new_captioner(
    features: Halves, queries: Floats, texts: Sequence[str], shape: dict[str, Any]
) -> Captioner:
    """A captioner over the word pieces that occur in `texts`."""
    words = {piece for text in texts for piece in _pieces(text)}
    captioner = Captioner(
        features.shape[2], torch.from_numpy(queries), (*SPECIAL, *sorted(words)), **shape
    )
    flat = (
        features[:: max(1, len(features) // 1024)].astype(np.float32).reshape(-1, features.shape[2])
    )
    captioner.mean.copy_(torch.from_numpy(flat.mean(axis=0)))
    captioner.std.copy_(torch.from_numpy(flat.std(axis=0)).clamp(min=1e-4))
    return captioner


def _pieces(text: str) -> list[str]:
    pieces: list[str] = word_pieces().encode(text, add_special_tokens=False).tokens
    return pieces


def encode_texts(captioner: Captioner, texts: Sequence[str]) -> Tensor:
    """Texts as pieces (N, max_pieces + 1) from BEGIN to END, padded."""
    place = {piece: number for number, piece in enumerate(captioner.pieces)}
    width = captioner.max_pieces + 1
    rows = torch.full((len(texts), width), PAD)
    for row, text in enumerate(texts):
        pieces = [place[p] for p in _pieces(text) if p in place][: width - 2]
        line = [BEGIN, *pieces, END]
        rows[row, : len(line)] = torch.tensor(line)
    return rows
