"""Matrix products in half precision, where the processor has units for them, or in full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def half_products() -> Iterator[None]:
    """Products of float32 on a CPU take bfloat16 factors; sums, weights and results stay float32.

    Training takes half the time on processors with matrix units (AMX); on others nothing changes.
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
