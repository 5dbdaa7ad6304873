"""A transformer decoder asked for one place after another.

Keys and values of what it attends to, and of the places before, are computed once and kept: a
caption costs its length, not the square of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention


class Stepping:
    """Torch's decoder in evaluation, norm first, batch first, with causal attention to itself.

    `memory` (B, P, H) is what it attends to, `padding` (B, P) where that is none.
    """

    def __init__(self, decoder: nn.TransformerDecoder, memory: Tensor, padding: Tensor) -> None:
        self._norm = cast(nn.Module, decoder.norm)
        layers = cast(Sequence[nn.TransformerDecoderLayer], decoder.layers)
        self._layers = [_SteppingLayer(layer, memory, padding) for layer in layers]

    def __call__(self, states: Tensor) -> Tensor:
        """Output (B, 1, H) of the next place, whose input is `states` (B, 1, H)."""
        for layer in self._layers:
            states = layer(states)
        output: Tensor = self._norm(states)
        return output


class _SteppingLayer:
    def __init__(self, layer: nn.TransformerDecoderLayer, memory: Tensor, padding: Tensor) -> None:
        self._layer = layer
        _, self._keys, self._values = _parts(layer.multihead_attn, memory)
        self._attended = ~padding[:, None, None]
        self._said: tuple[Tensor, Tensor] | None = None

    def __call__(self, states: Tensor) -> Tensor:
        layer = self._layer
        query, keys, values = _parts(layer.self_attn, layer.norm1(states))
        if self._said is not None:
            keys = torch.cat([self._said[0], keys], dim=2)
            values = torch.cat([self._said[1], values], dim=2)
        self._said = keys, values
        states = states + _joined(
            layer.self_attn, scaled_dot_product_attention(query, keys, values)
        )
        (query,) = _parts(layer.multihead_attn, layer.norm2(states), 1)
        seen = scaled_dot_product_attention(query, self._keys, self._values, self._attended)
        states = states + _joined(layer.multihead_attn, seen)
        result: Tensor = states + layer.linear2(
            layer.activation(layer.linear1(layer.norm3(states)))
        )
        return result


def _parts(attention: nn.MultiheadAttention, states: Tensor, count: int = 3) -> list[Tensor]:
    """Queries, keys and values (B, heads, T, H / heads) of states (B, T, H), or the first."""
    batch, length, size = states.shape
    weight, bias = (
        every[: count * size] for every in (attention.in_proj_weight, attention.in_proj_bias)
    )
    shape = batch, length, attention.num_heads, size // attention.num_heads
    parts = linear(states, weight, bias).chunk(count, dim=-1)
    return [part.reshape(shape).transpose(1, 2) for part in parts]


def _joined(attention: nn.MultiheadAttention, parts: Tensor) -> Tensor:
    result: Tensor = attention.out_proj(parts.transpose(1, 2).flatten(2))
    return result
