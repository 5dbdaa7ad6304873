"""Named points at which a test can kill the process, to prove that no unit is half done."""

from __future__ import annotations

import os
import signal

VARIABLE = "TAGWRIGHT_CRASH_AT"


def crash_point(name: str) -> None:
    """Kill this process with SIGKILL when the environment asks for it at `name`."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
