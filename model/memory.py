"""How freed memory is kept: a step's tensors are those of the step before."""

from __future__ import annotations

import ctypes
from functools import cache

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Parameters of glibc's mallopt (malloc.h, `M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD`)."""
_LARGEST = 64 << 20
_KEPT = 1 << 30


@cache
def keep_freed_memory() -> bool:
    """Let the allocator keep up to 1 GiB that is free, in blocks of up to 64 MiB, from now on.

    glibc gives back large blocks at once, so that each layer's output would be mapped and cleared
    by the kernel page by page anew: a fifth of the time of encoding, an eighth of that of
    learning. Other allocators have no such call, and nothing changes; tells whether it did.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
