"""Freed memory stays: measured by page faults, as the kernel counts them."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FAULTS = """
import resource, sys
import numpy as np
from model.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory() and keep_freed_memory()
blocks = [np.ones(2**18) for _ in range(16)]
del blocks
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    blocks = [np.ones(2**18) for _ in range(16)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: str) -> int:
    """Of 20 rounds of 16 blocks of 2 MiB that a new process asks for and frees."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, keep], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no other allocator has the call")
def test_blocks_that_are_asked_for_again_are_not_mapped_anew() -> None:
    assert 100 * faults("keep") < faults("give back")
