"""Tiny checkpoints in the published layout, and the published formulas in plain NumPy.

The formulas are written from the papers' equations and share no code with the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erf
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.float64]
Weights = Mapping[str, Array]
VOCABULARY = 30524


@dataclass(frozen=True)
class Tiny:
    """Sizes of a tiny network; those of the published ones are in `model/published_layout.py`."""

    variant: Literal["ram", "ram_plus", "tag2text"] = "ram"
    image: int = 64
    window: int = 4
    embed: int = 8
    depths: tuple[int, ...] = (2, 2, 2)
    swin_heads: tuple[int, ...] = (2, 4, 8)
    labels: int = 7
    descriptions: int = 3
    text_dim: int = 20
    hidden: int = 24
    feed_forward: int = 40
    layers: int = 2
    heads: int = 4
    text_layers: int = 3
    text_heads: int = 12

    @property
    def image_dim(self) -> int:
        return self.swin_dim if self.variant == "tag2text" else self.text_dim

    @property
    def swin_dim(self) -> int:
        return int(self.embed * 2 ** (len(self.depths) - 1))


def weights_of(tiny: Tiny, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights under the published names."""
    make = _Maker(seed)
    make.linear("visual_encoder.patch_embed.proj", tiny.embed, 3, 4, 4)
    make.norm("visual_encoder.patch_embed.norm", tiny.embed)
    for stage, (depth, heads) in enumerate(zip(tiny.depths, tiny.swin_heads, strict=True)):
        dim, side = tiny.embed * 2**stage, tiny.image // 4 // 2**stage
        window = min(tiny.window, side)
        for block in range(depth):
            name = f"visual_encoder.layers.{stage}.blocks.{block}."
            if block % 2 and side > tiny.window:
                make.add(name + "attn_mask", (side // window) ** 2, window**2, window**2)
            make.norm(name + "norm1", dim)
            make.add(name + "attn.relative_position_bias_table", (2 * window - 1) ** 2, heads)
            make.state[name + "attn.relative_position_index"] = torch.zeros(
                window**2, window**2, dtype=torch.int64
            )
            make.linear(name + "attn.qkv", 3 * dim, dim)
            make.linear(name + "attn.proj", dim, dim)
            make.norm(name + "norm2", dim)
            make.linear(name + "mlp.fc1", 4 * dim, dim)
            make.linear(name + "mlp.fc2", dim, 4 * dim)
        if stage + 1 < len(tiny.depths):
            make.add(f"visual_encoder.layers.{stage}.downsample.reduction.weight", 2 * dim, 4 * dim)
            make.norm(f"visual_encoder.layers.{stage}.downsample.norm", 4 * dim)
    make.norm("visual_encoder.norm", tiny.swin_dim)
    for layer in range(tiny.layers):
        name = f"tagging_head.encoder.layer.{layer}."
        make.attention(name + "crossattention", tiny.hidden, tiny.image_dim)
        make.feed_forward(name, tiny.hidden, tiny.feed_forward)
    if tiny.variant == "tag2text":
        make.add("label_embed.weight", tiny.labels, tiny.hidden)
        make.add("fc.W", 1, tiny.labels, tiny.hidden)
        make.add("fc.b", 1, tiny.labels)
    else:
        rows = tiny.labels * (tiny.descriptions if tiny.variant == "ram_plus" else 1)
        make.add("label_embed", rows, tiny.text_dim)
        make.linear("wordvec_proj", tiny.hidden, tiny.text_dim)
        make.linear("fc", 1, tiny.hidden)
        make.linear("image_proj", tiny.text_dim, tiny.swin_dim)
    if tiny.variant == "ram_plus":
        make.state["reweight_scale"] = torch.tensor(1.7)
    else:
        _text(make, tiny)
    return make.state


def _text(make: _Maker, tiny: Tiny) -> None:
    for part, bert, looks_at in (
        ("tag_encoder.", "tag_encoder.", tiny.image_dim),
        ("text_decoder.", "text_decoder.bert.", tiny.hidden),
    ):
        make.state[bert + "embeddings.position_ids"] = torch.arange(64)[None]
        make.add(bert + "embeddings.word_embeddings.weight", VOCABULARY, tiny.hidden)
        make.add(bert + "embeddings.position_embeddings.weight", 64, tiny.hidden)
        make.norm(bert + "embeddings.LayerNorm", tiny.hidden)
        for layer in range(tiny.text_layers):
            name = f"{bert}encoder.layer.{layer}."
            make.attention(name + "attention", tiny.hidden, tiny.hidden)
            make.attention(name + "crossattention", tiny.hidden, looks_at)
            make.feed_forward(name, tiny.hidden, tiny.feed_forward)
            if part == "tag_encoder." and layer < tiny.layers:
                shared = f"tagging_head.encoder.layer.{layer}."
                for key in [k for k in make.state if k.startswith(shared)]:
                    make.state[name + key.removeprefix(shared)] = make.state[key]
    head = "text_decoder.cls.predictions."
    make.linear(head + "transform.dense", tiny.hidden, tiny.hidden)
    make.norm(head + "transform.LayerNorm", tiny.hidden)
    make.add(head + "bias", VOCABULARY)
    make.state[head + "decoder.weight"] = make.state[
        "text_decoder.bert.embeddings.word_embeddings.weight"
    ]
    make.state[head + "decoder.bias"] = make.state[head + "bias"]


class _Maker:
    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.state: dict[str, torch.Tensor] = {}

    def add(self, name: str, *shape: int, scale: float = 0.3) -> None:
        self.state[name] = torch.randn(*shape, generator=self.random) * scale

    def linear(self, name: str, *shape: int) -> None:
        self.add(name + ".weight", *shape)
        self.add(name + ".bias", shape[0])

    def norm(self, name: str, dim: int) -> None:
        self.add(name + ".weight", dim)
        self.state[name + ".weight"] += 1
        self.add(name + ".bias", dim)

    def attention(self, name: str, hidden: int, looks_at: int) -> None:
        self.linear(name + ".self.query", hidden, hidden)
        self.linear(name + ".self.key", hidden, looks_at)
        self.linear(name + ".self.value", hidden, looks_at)
        self.linear(name + ".output.dense", hidden, hidden)
        self.norm(name + ".output.LayerNorm", hidden)

    def feed_forward(self, name: str, hidden: int, width: int) -> None:
        self.linear(name + "intermediate.dense", width, hidden)
        self.linear(name + "output.dense", hidden, width)
        self.norm(name + "output.LayerNorm", hidden)


def save(weights: dict[str, torch.Tensor], path: Path) -> Path:
    """As published: a dictionary with optimizer state and more beside the model."""
    torch.save({"model": weights, "optimizer": {"state": {}}, "config": {}, "epoch": 4}, path)
    return path


def arrays(weights: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    """The same weights in double precision."""
    return {key: value.double().numpy() for key, value in weights.items()}


# ---------------------------------------------------------------------------------- the formulas


def gelu(x: Array) -> Array:
    return np.asarray(x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2))))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def linear(w: Weights, name: str, x: Array) -> Array:
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def norm(w: Weights, name: str, x: Array, eps: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return np.asarray(scaled * w[name + ".weight"] + w[name + ".bias"])


def swin(w: Weights, tiny: Tiny, image: Array) -> Array:
    """One image (3, S, S) as tokens (1 + P, D), position by position as in Liu et al. 2021."""
    side, pre = tiny.image // 4, "visual_encoder."
    kernel = w[pre + "patch_embed.proj.weight"].reshape(tiny.embed, -1)
    grid = np.empty((side, side, tiny.embed))
    for row in range(side):
        for column in range(side):
            patch = image[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            grid[row, column] = kernel @ patch.ravel() + w[pre + "patch_embed.proj.bias"]
    grid = norm(w, pre + "patch_embed.norm", grid, 1e-5)
    for stage, depth in enumerate(tiny.depths):
        for block in range(depth):
            grid = _swin_block(w, tiny, f"{pre}layers.{stage}.blocks.{block}.", grid, block, stage)
        if stage + 1 < len(tiny.depths):
            four = [grid[r::2, c::2] for c in (0, 1) for r in (0, 1)]
            name = f"{pre}layers.{stage}.downsample."
            joined = norm(w, name + "norm", np.concatenate(four, axis=-1), 1e-5)
            grid = joined @ w[name + "reduction.weight"].T
    tokens = norm(w, pre + "norm", grid.reshape(-1, grid.shape[-1]), 1e-5)
    return np.concatenate([tokens.mean(axis=0, keepdims=True), tokens])


def _swin_block(w: Weights, tiny: Tiny, name: str, grid: Array, block: int, stage: int) -> Array:
    side, dim, heads = len(grid), grid.shape[-1], tiny.swin_heads[stage]
    window = min(tiny.window, side)
    shift = window // 2 if block % 2 and side > tiny.window else 0
    states = norm(w, name + "norm1", grid, 1e-5)
    out = np.empty_like(grid)
    places = [(r, c) for r in range(side) for c in range(side)]

    def home(r: int, c: int) -> tuple[int, int, bool, bool]:
        """The window of a position in the shifted picture, and whether it wrapped round an edge."""
        a, b = (r - shift) % side, (c - shift) % side
        return a // window, b // window, r < shift, c < shift

    for r, c in places:
        mine = home(r, c)
        peers = [p for p in places if home(*p)[:2] == mine[:2]]
        q = linear(w, name + "attn.qkv", states[r, c])[:dim].reshape(heads, -1)
        kv = np.stack([linear(w, name + "attn.qkv", states[p])[dim:] for p in peers])
        k, v = (
            kv[:, :dim].reshape(-1, heads, dim // heads),
            kv[:, dim:].reshape(-1, heads, dim // heads),
        )
        for head in range(heads):
            logits = k[:, head] @ q[head] / np.sqrt(dim // heads)
            for n, p in enumerate(peers):
                # Distances are those within the window, where a wrapped position is a neighbour.
                dr = (r - shift) % side - (p[0] - shift) % side
                dc = (c - shift) % side - (p[1] - shift) % side
                row = (dr + window - 1) * (2 * window - 1) + dc + window - 1
                logits[n] += w[name + "attn.relative_position_bias_table"][row, head]
                logits[n] += 0 if home(*p)[2:] == mine[2:] else -100
            width = dim // heads
            out[r, c, head * width : (head + 1) * width] = softmax(logits) @ v[:, head]
    grid = grid + linear(w, name + "attn.proj", out)
    hidden = gelu(linear(w, name + "mlp.fc1", norm(w, name + "norm2", grid, 1e-5)))
    return np.asarray(grid + linear(w, name + "mlp.fc2", hidden))


def attention(
    w: Weights, name: str, x: Array, y: Array, heads: int, mask: Array | None = None
) -> Array:
    """Post-norm attention of BERT: x (T, H) looks at y (S, W); mask (T, S) is added."""
    q, k, v = (
        linear(w, f"{name}.self.{p}", z) for p, z in (("query", x), ("key", y), ("value", y))
    )
    width = q.shape[1] // heads
    parts = []
    for head in range(heads):
        cut = slice(head * width, (head + 1) * width)
        logits = q[:, cut] @ k[:, cut].T / np.sqrt(width)
        parts.append(softmax(logits if mask is None else logits + mask) @ v[:, cut])
    out = linear(w, name + ".output.dense", np.concatenate(parts, axis=1))
    return norm(w, name + ".output.LayerNorm", out + x, 1e-12)


def feed_forward(w: Weights, name: str, x: Array) -> Array:
    hidden = gelu(linear(w, name + "intermediate.dense", x))
    return norm(w, name + "output.LayerNorm", linear(w, name + "output.dense", hidden) + x, 1e-12)


def image_tokens(w: Weights, tiny: Tiny, image: Array) -> Array:
    tokens = swin(w, tiny, image)
    return tokens if tiny.variant == "tag2text" else linear(w, "image_proj", tokens)


def recognise(w: Weights, tiny: Tiny, tokens: Array, queries: Array | None = None) -> Array:
    """Logits (L,) of one image's tokens; other queries (M, text_dim) if given."""
    if tiny.variant == "tag2text":
        states = w["label_embed.weight"]
    else:
        if queries is None:
            queries = w["label_embed"]
            if tiny.variant == "ram_plus":
                unit = tokens[0] / np.linalg.norm(tokens[0])
                each = queries.reshape(tiny.labels, tiny.descriptions, -1)
                share = softmax(np.exp(w["reweight_scale"]) * each @ unit)
                queries = (share[..., None] * each).sum(axis=1)
        states = np.maximum(linear(w, "wordvec_proj", queries), 0)
    for layer in range(tiny.layers):
        name = f"tagging_head.encoder.layer.{layer}."
        states = attention(w, name + "crossattention", states, tokens, tiny.heads)
        states = feed_forward(w, name, states)
    if tiny.variant == "tag2text":
        return np.asarray((w["fc.W"][0] * states).sum(axis=1) + w["fc.b"][0])
    return linear(w, "fc", states)[:, 0]


def _embed(w: Weights, name: str, pieces: Sequence[int]) -> Array:
    rows = w[name + "word_embeddings.weight"][list(pieces)]
    rows = rows + w[name + "position_embeddings.weight"][: len(pieces)]
    return norm(w, name + "LayerNorm", rows, 1e-12)


def guide(w: Weights, tiny: Tiny, tokens: Array, pieces: Sequence[int]) -> Array:
    """The tag encoder: pieces padded with 0 to 40, padding masked."""
    states = _embed(w, "tag_encoder.embeddings.", pieces)
    mask = np.where(np.asarray(pieces) == 0, -10000.0, 0.0)[None].repeat(len(pieces), axis=0)
    for layer in range(tiny.text_layers):
        name = f"tag_encoder.encoder.layer.{layer}."
        states = attention(w, name + "attention", states, states, tiny.text_heads, mask)
        states = attention(w, name + "crossattention", states, tokens, tiny.text_heads)
        states = feed_forward(w, name, states)
    return states


def next_piece(w: Weights, tiny: Tiny, guided: Array, pieces: Sequence[int]) -> Array:
    """Log-probabilities (T, V) of the piece after each of `pieces`."""
    states = _embed(w, "text_decoder.bert.embeddings.", pieces)
    causal = np.triu(np.full((len(pieces), len(pieces)), -1e9), 1)
    for layer in range(tiny.text_layers):
        name = f"text_decoder.bert.encoder.layer.{layer}."
        states = attention(w, name + "attention", states, states, tiny.text_heads, causal)
        states = attention(w, name + "crossattention", states, guided, tiny.text_heads)
        states = feed_forward(w, name, states)
    head = "text_decoder.cls.predictions."
    states = norm(
        w, head + "transform.LayerNorm", gelu(linear(w, head + "transform.dense", states)), 1e-12
    )
    logits = states @ w["text_decoder.bert.embeddings.word_embeddings.weight"].T + w[head + "bias"]
    return np.asarray(
        logits - logits.max(axis=1, keepdims=True)
        - np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
    )  # fmt: skip


def asl(logits: Array, targets: Array, gamma_neg: float, clip: float) -> float:
    """Asymmetric loss with gamma_pos 0, summed (Ridnik et al. 2021)."""
    p = 1 / (1 + np.exp(-logits))
    absent = np.minimum(1 - p + clip, 1)
    total = targets * np.log(np.maximum(p, 1e-8))
    total += (1 - targets) * (1 - absent) ** gamma_neg * np.log(np.maximum(absent, 1e-8))
    return float(-total.sum())


def beam_search(
    w: Weights, tiny: Tiny, guided: Array, start: Sequence[int], beams: int, shortest: int,
    longest: int, power: float = 1.0,
) -> list[int]:  # fmt: skip
    """The best finished caption: sum of log-probabilities over generated pieces, end included.

    The sum is divided by their number to the `power` (1 as published).
    """
    end, alive, done = 102, [(0.0, list(start))], list[tuple[float, list[int]]]()
    while alive and len(alive[0][1]) < longest:
        ahead = []
        for score, pieces in alive:
            row = next_piece(w, tiny, guided, pieces)[-1]
            if len(pieces) < shortest:
                row[end] = -np.inf
            ahead += [(score + row[p], [*pieces, int(p)]) for p in np.argsort(-row)[: 2 * beams]]
        ahead.sort(key=lambda item: -item[0])
        alive = []
        for rank, (score, pieces) in enumerate(ahead[: 2 * beams]):
            if pieces[-1] == end:
                if rank < beams:
                    done.append((score / (len(pieces) - len(start)) ** power, pieces))
            elif len(alive) < beams:
                alive.append((score, pieces))
        done = sorted(done, key=lambda item: -item[0])[:beams]
        length = len(alive[0][1]) - len(start)
        if len(done) == beams and done[-1][0] >= alive[0][0] / length**power:
            alive = []
    done += [(score / (len(pieces) - len(start)) ** power, pieces) for score, pieces in alive]
    return max(done, key=lambda item: item[0])[1]
