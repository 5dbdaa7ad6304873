"""The recognition decoder against its equations written in NumPy, and its open vocabulary."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from model.decoder import DecoderLayer, RecognitionDecoder

Array = npt.NDArray[np.float64]


def linear(x: Array, layer: torch.nn.Linear) -> Array:
    result: Array = x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    return result


def norm(x: Array, layer: torch.nn.LayerNorm) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + layer.eps)
    result: Array = scaled * layer.weight.detach().numpy() + layer.bias.detach().numpy()
    return result


def gelu(x: Array) -> Array:
    result: Array = x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    return result


def layer_by_hand(labels: Array, tokens: Array, layer: DecoderLayer) -> Array:
    """One image: labels (L, H), tokens (T, H); cross-attention, then feed-forward, post-norm."""
    query, key, value = (
        linear(x, part)
        for x, part in ((labels, layer.query), (tokens, layer.key), (tokens, layer.value))
    )
    width = query.shape[1] // layer.heads
    joined = np.empty_like(query)
    for head in range(layer.heads):
        part = slice(head * width, (head + 1) * width)
        energy = np.exp(query[:, part] @ key[:, part].T / math.sqrt(width))
        joined[:, part] = energy / energy.sum(1, keepdims=True) @ value[:, part]
    states = norm(labels + linear(joined, layer.output), layer.norm1)
    inner = gelu(linear(states, layer.intermediate))
    return norm(states + linear(inner, layer.dense), layer.norm2)


def decoder(seed: int = 0) -> RecognitionDecoder:
    torch.manual_seed(seed)
    built = RecognitionDecoder(6, 8, 8, 16, layers=2, heads=2, dropout=0.0).double().eval()
    for parameter in built.parameters():  # norms and the silent last layer too
        torch.nn.init.normal_(parameter, std=0.5)
    return built


def test_forward_is_the_equation() -> None:
    built = decoder()
    queries, tokens = torch.randn(5, 6).double(), torch.randn(3, 4, 8).double()
    with torch.no_grad():
        logits = built(queries, tokens).numpy()
    for image in range(3):
        assert isinstance(built.wordvec_proj, nn.Linear) and isinstance(built.fc, nn.Linear)
        labels = np.maximum(linear(queries.numpy(), built.wordvec_proj), 0)
        for layer in built.layers:
            assert isinstance(layer, DecoderLayer)
            labels = layer_by_hand(labels, tokens[image].numpy(), layer)
        np.testing.assert_allclose(logits[image], linear(labels, built.fc)[:, 0], atol=1e-10)


def test_a_label_does_not_see_the_others() -> None:
    built = decoder()
    queries, tokens = torch.randn(5, 6).double(), torch.randn(2, 4, 8).double()
    with torch.no_grad():
        together, alone = built(queries, tokens), built(queries[3:4], tokens)
    torch.testing.assert_close(together[:, 3:4], alone)


def test_order_of_positions_does_not_matter() -> None:
    built = decoder()
    queries, tokens = torch.randn(5, 6).double(), torch.randn(2, 4, 8).double()
    with torch.no_grad():
        torch.testing.assert_close(built(queries, tokens), built(queries, tokens.flip(1)))


def test_it_starts_silent() -> None:
    fresh = RecognitionDecoder(6, 8, 8, 16, layers=2, heads=2, dropout=0.0)
    assert fresh(torch.randn(5, 6), torch.randn(2, 4, 8)).abs().max() == 0
