"""The layout of the published checkpoints: their names for our tensors, and sizes read from them.

Every key and shape of `ram_swin_large_14m.pth`, `ram_plus_swin_large_14m.pth` and
`tag2text_swin_14m.pth` follows these rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isqrt

import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline
from torch import Tensor

from model.errors import CheckpointError
from model.ram import RamShape, Variant
from model.swin import PATCH, SwinShape
from model.text_networks import TextShape

Weights = Mapping[str, Tensor]

DERIVED = re.compile(r"relative_position_index$|attn_mask$|embeddings\.position_ids$")
"""Buffers that follow from the sizes; never read."""
_SWIN = "encoder.network."
_BLOCK = re.compile(r"visual_encoder\.layers\.(\d+)\.blocks\.(\d+)\.(.+)")
_IN_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "attn.proj": "attention.o_proj",
    "attn.relative_position_bias_table": (
        "attention.relative_position_bias.relative_position_bias_table"
    ),
}
_HEAD = re.compile(r"tagging_head\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
_IN_LAYER = {
    "crossattention.self.query": "query",
    "crossattention.self.key": "key",
    "crossattention.self.value": "value",
    "crossattention.output.dense": "output",
    "crossattention.output.LayerNorm": "norm1",
    "intermediate.dense": "intermediate",
    "output.dense": "dense",
    "output.LayerNorm": "norm2",
}
_PREFIXES = {
    "visual_encoder.patch_embed.proj.": _SWIN + "embeddings.patch_embeddings.projection.",
    "visual_encoder.patch_embed.norm.": _SWIN + "embeddings.norm.",
    "visual_encoder.norm.": _SWIN + "layernorm.",
    "wordvec_proj.": "decoder.wordvec_proj.",
    "image_proj.": "image_proj.",
    "fc.weight": "decoder.fc.weight",
    "fc.bias": "decoder.fc.bias",
    "label_embed.weight": "queries.embedding",
    "label_embed": "queries.embedding",
    "reweight_scale": "queries.scale",
    "tag_encoder.": "captioner.tag_encoder.",
    "text_decoder.": "captioner.text_decoder.",
}


def renamed(weights: Weights) -> Iterator[tuple[str, Tensor]]:
    """Our name and value of each published tensor; fused ones are split.

    Raises:
        CheckpointError: a key that no published checkpoint has.
    """
    unknown = []
    for key, value in weights.items():
        if DERIVED.search(key):
            continue
        if (block := _BLOCK.fullmatch(key)) and (
            found := list(_of_block(block[1], block[2], block[3], value))
        ):
            yield from found
        elif (layer := _HEAD.fullmatch(key)) and layer[2] in _IN_LAYER:
            yield f"decoder.layers.{layer[1]}.{_IN_LAYER[layer[2]]}.{layer[3]}", value
        elif downsample := re.fullmatch(r"visual_encoder\.layers\.(\d+\.downsample\..+)", key):
            yield f"{_SWIN}encoder.layers.{downsample[1]}", value
        elif key in ("fc.W", "fc.b"):
            yield f"decoder.fc.{'weight' if key == 'fc.W' else 'bias'}", value[0]
        elif prefix := next((p for p in _PREFIXES if key.startswith(p)), None):
            yield _PREFIXES[prefix] + key.removeprefix(prefix), value
        else:
            unknown.append(key)
    if unknown:
        raise CheckpointError(f"unexpected keys, {len(unknown)}: {', '.join(unknown[:5])}")


def _of_block(stage: str, block: str, rest: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    ours = f"{_SWIN}encoder.layers.{stage}.blocks.{block}."
    if rest == "attn.relative_position_bias_table":
        yield ours + _IN_BLOCK[rest], value
        return
    name, _, kind = rest.rpartition(".")
    if name == "attn.qkv":
        for part, piece in zip("qkv", value.chunk(3), strict=True):
            yield f"{ours}attention.{part}_proj.{kind}", piece
    elif name in _IN_BLOCK:
        yield f"{ours}{_IN_BLOCK[name]}.{kind}", value


def shape_of(weights: Weights, heads: int, text_heads: int, descriptions: int) -> RamShape:
    """The sizes of a published checkpoint, read from its tensors.

    Args:
        heads, text_heads: of recognition decoder and text networks; no tensor tells them.
        descriptions: of each label, told by none either; for RAM++ alone.

    Raises:
        CheckpointError: a tensor that decides a size is missing, or sizes contradict each other.
    """
    variant: Variant = (
        "ram_plus" if "reweight_scale" in weights else "tag2text" if "fc.W" in weights else "ram"
    )
    first = _get(weights, "tagging_head.encoder.layer.0.intermediate.dense.weight")
    labels = len(_get(weights, "label_embed.weight" if variant == "tag2text" else "label_embed"))
    each = descriptions if variant == "ram_plus" else 1
    if labels % each:
        raise CheckpointError(
            f"{labels} rows of label_embed are not {each} descriptions for each label"
        )
    return RamShape(
        variant=variant,
        swin=_swin_shape(weights),
        labels=labels // each,
        descriptions=each,
        text_dim=None if variant == "tag2text" else _get(weights, "wordvec_proj.weight").shape[1],
        hidden=first.shape[1],
        feed_forward=first.shape[0],
        layers=_count(weights, r"tagging_head\.encoder\.layer\.(\d+)\."),
        heads=heads,
        text=_text_shape(weights, text_heads),
    )


def _swin_shape(weights: Weights) -> SwinShape:
    stages = _count(weights, r"visual_encoder\.layers\.(\d+)\.")
    depths, heads, windows = [], [], []
    for stage in range(stages):
        prefix = f"visual_encoder.layers.{stage}.blocks."
        depths.append(_count(weights, re.escape(prefix) + r"(\d+)\."))
        table = _get(weights, f"{prefix}0.attn.relative_position_bias_table")
        heads.append(table.shape[1])
        windows.append((isqrt(len(table)) + 1) // 2)
    window = windows[0]
    # The mask of shifted windows has a row a window; without shifts one window fills the picture.
    mask = weights.get("visual_encoder.layers.0.blocks.1.attn_mask")
    across = 1 if mask is None else isqrt(len(mask))
    fc1 = _get(weights, "visual_encoder.layers.0.blocks.0.mlp.fc1.weight")
    return SwinShape(
        image_size=across * window * PATCH,
        embed_dim=fc1.shape[1],
        depths=tuple(depths),
        heads=tuple(heads),
        window=window,
        mlp_ratio=fc1.shape[0] / fc1.shape[1],
    )


def _text_shape(weights: Weights, heads: int) -> TextShape | None:
    if not any(key.startswith("tag_encoder.") for key in weights):
        return None
    words = _get(weights, "text_decoder.bert.embeddings.word_embeddings.weight")
    return TextShape(
        vocabulary=words.shape[0],
        hidden=words.shape[1],
        feed_forward=len(
            _get(weights, "text_decoder.bert.encoder.layer.0.intermediate.dense.bias")
        ),
        encoder_layers=_count(weights, r"tag_encoder\.encoder\.layer\.(\d+)\."),
        decoder_layers=_count(weights, r"text_decoder\.bert\.encoder\.layer\.(\d+)\."),
        heads=heads,
        positions=len(_get(weights, "text_decoder.bert.embeddings.position_embeddings.weight")),
    )


def _get(weights: Weights, key: str) -> Tensor:
    if key not in weights:
        raise CheckpointError(f"missing keys, first of all {key}; no RAM, RAM++ or Tag2Text")
    return weights[key]


def _count(weights: Weights, pattern: str) -> int:
    found = {int(match[1]) for key in weights if (match := re.match(pattern, key))}
    if found != set(range(len(found))) or not found:
        raise CheckpointError(f"missing keys: numbers {sorted(found)} where {pattern} is counted")
    return len(found)


def resized_table(table: Tensor, window: int) -> Tensor:
    """A table of relative positions (W, heads) for another window: (2 * window - 1)^2 rows.

    The places of the old table are taken to lie at geometrically growing distances that reach the
    new table's edge, and a bicubic spline is read at whole distances. The growth is at least
    1.01, so a smaller window reads the middle of the old one, as published.
    """
    old, new = isqrt(len(table)), 2 * window - 1
    if old == new:
        return table
    reach, far = old // 2, float(new // 2)
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        growth = (low + high) / 2
        if (1 - growth**reach) / (1 - growth) > far:
            high = growth
        else:
            low = growth
    # The last middle is the growth, not a bound: the published tables were made so.
    side = np.cumsum(growth ** np.arange(reach))
    places = np.concatenate([-side[::-1], [0.0], side])
    wanted = np.arange(-far, far + 0.1)
    heads = [
        RectBivariateSpline(places, places, grid)(wanted, wanted)
        for grid in table.double().reshape(old, old, -1).permute(2, 0, 1).numpy()
    ]
    return torch.from_numpy(np.stack(heads, axis=-1)).reshape(new * new, -1).to(table.dtype)
