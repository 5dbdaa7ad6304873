"""Half precision on CPUs, where the processor computes in it, or full precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch


@contextmanager
def half_layers() -> Iterator[None]:
    """Layers within compute in bfloat16, by autocast; weights and their gradients stay float32.

    Blocks learn in half the time on processors that multiply bfloat16 (measured with AVX-512 BF16);
    on others nothing changes, since they would be slower.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=_multiplies_bfloat16()):
        yield


@cache
def _multiplies_bfloat16() -> bool:
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


@contextmanager
def half_products() -> Iterator[None]:
    """Products of float32 on a CPU take bfloat16 factors; sums, weights and results stay float32.

    For what `half_layers` would make too coarse, such as logits. It takes half the time on
    processors with matrix units (AMX); on others nothing changes.
    What TF32 is on GPUs (docs.pytorch.org, notes/mkldnn). It holds for the process, not a thread.
    """
    with _products("bf16"):
        yield


@contextmanager
def full_products() -> Iterator[None]:
    """Products of float32 on a CPU as they are, also within `half_products`."""
    with _products("ieee"):
        yield


@contextmanager
def _products(precision: str) -> Iterator[None]:
    mkldnn: Any = torch.backends.mkldnn
    kinds = mkldnn.matmul, mkldnn.conv
    before = [kind.fp32_precision for kind in kinds]
    for kind in kinds:
        kind.fp32_precision = precision
    try:
        yield
    finally:
        for kind, precision in zip(kinds, before, strict=True):
            kind.fp32_precision = precision
