"""How many threads torch counts with: a part of every result, so never left to the machine."""

from __future__ import annotations

import torch


def use_threads(count: int) -> None:
    """Let torch work with `count` threads from now on: another number rounds sums otherwise."""
    torch.set_num_threads(count)
