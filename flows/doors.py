"""What the package sets before anything else of it is imported: no telemetry, calm threads."""

from __future__ import annotations

import os

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    # Spinning OpenMP threads make oversubscribed machines ten times slower.
    "OMP_WAIT_POLICY": "PASSIVE",
    # So do OpenBLAS's, whatever the policy; torch has threads of its own. One thread also makes
    # NumPy's sums the same on any number of cores.
    "OPENBLAS_NUM_THREADS": "1",
}


def settle() -> None:
    """Set what nobody has set otherwise."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
