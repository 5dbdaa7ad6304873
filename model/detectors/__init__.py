"""Detectors by name: one file, one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from model.detectors.attention import AttentionDetector
from model.detectors.base import Detection, Detector, View
from model.errors import ModelError
from model.folder import file_digest
from model.tagger import Tagger

if TYPE_CHECKING:
    from model.detectors.grounding import Network


@dataclass(frozen=True)
class DetectorSettings:
    """`weights` is a file or folder, `threshold` the least score, `batch` the pictures at once."""

    weights: Path | None
    threshold: float
    batch: int


def _attention(tagger: Tagger, names: Sequence[str], settings: DetectorSettings) -> Detector:
    return AttentionDetector(tagger)


def _grounding_dino(tagger: Tagger, names: Sequence[str], settings: DetectorSettings) -> Detector:
    from model.detectors.grounding import GroundingDetector

    network = _open_dino(_weights("grounding-dino", settings.weights))
    return GroundingDetector(network, names, settings.threshold, settings.batch)


def _groundingdino(tagger: Tagger, names: Sequence[str], settings: DetectorSettings) -> Detector:
    from model.detectors.grounding import GroundingDetector

    network = _open_package(_weights("groundingdino", settings.weights))
    return GroundingDetector(network, names, settings.threshold, settings.batch)


DETECTORS: dict[str, Callable[[Tagger, Sequence[str], DetectorSettings], Detector]] = {
    "attention": _attention,
    "grounding-dino": _grounding_dino,
    "groundingdino": _groundingdino,
}
NEED_WEIGHTS = {"grounding-dino", "groundingdino"}
"""The others find regions by what the tagger itself has learned."""


def make_detector(
    name: str, tagger: Tagger, names: Sequence[str], settings: DetectorSettings
) -> Detector:
    """The detector of that name for labels `names` (L,), the first of which are the tagger's.

    Raises:
        ModelError: there is none, or its weights cannot be read; the message says what to do.
    """
    _known(name)
    return DETECTORS[name](tagger, names, settings)


def check_detector(name: str, weights: Path | None) -> None:
    """Whether there is a detector of that name, and its weights where it needs any.

    Raises:
        ModelError: there is none, or nothing at that path.
    """
    _known(name)
    if name in NEED_WEIGHTS:
        _weights(name, weights)
    weights_digest(weights)


def weights_digest(weights: Path | None) -> str | None:
    """Of a detector's weights, file by file; None without any.

    Raises:
        ModelError: there is nothing at that path.
    """
    if weights is None:
        return None
    if not weights.exists():
        raise ModelError(f"ground.weights {weights}: there is nothing; name a file or folder")
    files = weights.rglob("*") if weights.is_dir() else [weights]
    states = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    return _digest_of(weights, states)


def _known(name: str) -> None:
    if name not in DETECTORS:
        raise ModelError(f"unknown detector {name!r}; choose from: {', '.join(sorted(DETECTORS))}")


def _weights(name: str, weights: Path | None) -> Path:
    if weights is None:
        raise ModelError(f"detector {name!r} needs weights; name them by --set ground.weights=PATH")
    return weights


# Fingerprints are asked for often, and weights are hundreds of megabytes.
@lru_cache(maxsize=4)
def _digest_of(weights: Path, states: tuple[tuple[str, int, int], ...]) -> str:
    return file_digest(weights)


# Loaded once per worker, whatever the number of folds.
@lru_cache(maxsize=1)
def _open_dino(path: Path) -> Network:
    from model.detectors.grounding_dino import GroundingDino

    return GroundingDino.open(path)


@lru_cache(maxsize=1)
def _open_package(path: Path) -> Network:
    from model.detectors.groundingdino import GroundingDinoPackage

    return GroundingDinoPackage.open(path)


__all__ = ["DETECTORS", "Detection", "Detector", "DetectorSettings", "View", "make_detector",
           "weights_digest"]  # fmt: skip
