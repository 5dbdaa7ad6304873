"""How fast RAM runs beside the machine's own matrix products and the plain published form."""

from __future__ import annotations

import math
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from model.decoder import DecoderLayer
from model.ram import RAM_SWIN_L, RecognizeAnything

Shapes = Counter[tuple[tuple[int, ...], tuple[int, ...]]]
"""Two factors of a matrix product -> how often it is computed."""
ROUNDS = 5


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down each matrix product that is computed meanwhile."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shapes: Shapes = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        factors = {
            torch.ops.aten.mm.default: args[:2],
            torch.ops.aten.bmm.default: args[:2],
            torch.ops.aten.addmm.default: args[1:3],
        }.get(func)
        if factors is not None:
            self.shapes[tuple(factors[0].shape), tuple(factors[1].shape)] += 1
        return func(*args, **(kwargs or {}))


def products_of(call: Callable[[], object]) -> Shapes:
    """The matrix products of a call; convolutions and fused attention are not among them."""
    # In inference mode linear layers are not taken apart into products.
    with torch.inference_mode(False), torch.no_grad(), _Products() as found:
        call()
    shapes: Shapes = found.shapes
    return shapes


def flops(shapes: Shapes) -> float:
    """Multiplications and additions of the products."""
    return sum(2.0 * math.prod(a) * b[-1] * count for (a, b), count in shapes.items())


def replay(shapes: Shapes) -> Callable[[], None]:
    """A call that computes the same products and nothing else, into memory that is there."""
    ready = [
        (torch.randn(a), torch.randn(b), torch.empty(*a[:-1], b[-1]), count)
        for (a, b), count in shapes.items()
    ]

    def run() -> None:
        for a, b, out, count in ready:
            for _ in range(count):
                torch.matmul(a, b, out=out)

    return run


def plain_decoder(model: RecognizeAnything, tokens: Tensor) -> Tensor:
    """The published form: queries repeated for each image, nothing remembered, nothing folded."""
    decoder = model.decoder
    states = decoder.states(model.queries(tokens[:, 0])).repeat(len(tokens), 1, 1)
    for layer in (cast(DecoderLayer, layer) for layer in decoder.layers):
        width = layer.query.out_features // layer.heads

        def split(x: Tensor, heads: int = layer.heads, width: int = width) -> Tensor:
            return x.view(len(x), -1, heads, width).transpose(1, 2)

        query, key, value = (
            split(part) for part in (layer.query(states), layer.key(tokens), layer.value(tokens))
        )
        weights = (query @ key.transpose(-1, -2) / math.sqrt(width)).softmax(dim=-1)
        joined = (weights @ value).transpose(1, 2).reshape(states.shape)
        states = layer.norm1(layer.output(joined) + states)
        inner = nn.functional.gelu(layer.intermediate(states))
        states = layer.norm2(layer.dense(inner) + states)
    logits: Tensor = decoder.fc(states)
    return logits


@contextmanager
def plain_attention(model: RecognizeAnything) -> Iterator[None]:
    """Swin's attention as three separate steps, as published."""
    config = model.encoder.network.config
    before = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = before


@torch.no_grad()
def measure(
    batch: int, *, labels: int = 4585, threads: int = 2, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, float]:
    """Full-size Swin-L RAM with random weights at 384 px, float32, all in turns; medians.

    Returns:
        Seconds for a batch, the share of the machine's own rate on the same products, the speed
        beside the plain form (above 1 is faster), the largest difference of logits, and the peak
        memory in GB of our form alone.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    # Without the captioner, which tagging does not run.
    model = RecognizeAnything(replace(RAM_SWIN_L, labels=labels, text=None)).eval()
    for parameter in model.decoder.fc.parameters():
        nn.init.normal_(parameter, std=0.02)
    nn.init.normal_(model.queries.embedding)
    pixels = torch.randn(batch, 3, RAM_SWIN_L.swin.image_size, RAM_SWIN_L.swin.image_size)
    tokens = model.tokens(pixels)
    model.logits(tokens)
    own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    def plain_encoder() -> Tensor:
        with plain_attention(model):
            return model.tokens(pixels)

    calls: dict[str, Callable[[], object]] = {
        "encoder": lambda: model.tokens(pixels),
        "plain encoder": plain_encoder,
        "decoder": lambda: model.logits(tokens),
        "plain decoder": lambda: plain_decoder(model, tokens),
    }
    for name in ("encoder", "decoder"):
        calls[f"products of {name}"] = replay(products_of(calls[name]))
    difference = (model.logits(tokens) - plain_decoder(model, tokens)).abs().max().item()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - began)

    def ratio(above: tuple[str, ...], below: tuple[str, ...]) -> float:
        return median(
            sum(taken[name][n] for name in above) / sum(taken[name][n] for name in below)
            for n in range(rounds)
        )

    both, plain = ("encoder", "decoder"), ("plain encoder", "plain decoder")
    return {
        "batch": batch,
        "encoder seconds": median(taken["encoder"]),
        "decoder seconds": median(taken["decoder"]),
        "decoder GFLOP": flops(products_of(calls["decoder"])) / 1e9,
        "plain decoder GFLOP": flops(products_of(calls["plain decoder"])) / 1e9,
        "encoder share of machine rate": ratio(("products of encoder",), ("encoder",)),
        "decoder share of machine rate": ratio(("products of decoder",), ("decoder",)),
        "decoder faster than plain": ratio(("plain decoder",), ("decoder",)),
        "whole faster than plain": ratio(plain, both),
        "logits differ by": difference,
        "peak GB": own_peak,
    }
