"""Small synthetic feature maps with known content, shared by the tests of `model`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.config import TrainConfig

Halves = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float32]

CHANNELS = 24
TEXT = 8
SMALL = TrainConfig(hidden=16, heads=2, readout_epochs=40, readout_lr=2e-2, readout_decay=0.0,
                    readout_dropout=0.0, epochs=4, batch=16, labels_per_step=8)  # fmt: skip


def queries(labels: int, seed: int = 0) -> Floats:
    """(labels, TEXT) random unit vectors."""
    rows = np.random.default_rng(seed).normal(size=(labels, TEXT)).astype(np.float32)
    result: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return result


def scenes(images: int, labels: int, grid: int = 7, seed: int = 0) -> tuple[Halves, Floats]:
    """Feature maps (N, grid * grid, CHANNELS) where label k lights channel k at one position."""
    rng = np.random.default_rng(seed)
    features = rng.random((images, grid * grid, CHANNELS)).astype(np.float16)
    targets = (rng.random((images, labels)) < 0.4).astype(np.float32)
    for image, label in np.argwhere(targets > 0):
        features[image, rng.integers(grid * grid), label] += 8
    return features, targets


def peak_megabytes() -> float:
    """The most memory this process held since /proc/self/clear_refs was told to forget."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) / 1024
