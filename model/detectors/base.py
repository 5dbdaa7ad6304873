"""The contract of all detectors: images and their own candidate tags in, boxes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from model.tagger import Halves


@dataclass(frozen=True, slots=True)
class Detection:
    """A box, xyxy in pixels of the image, for one label; score 0 to 1."""

    label: int
    box: tuple[float, float, float, float]
    score: float


class Detector(Protocol):
    """Finds where an image shows its candidate labels."""

    def detect(
        self,
        features: Halves,
        candidates: Sequence[Sequence[int]],
        sizes: Sequence[tuple[int, int]],
    ) -> list[list[Detection]]:
        """Detections per image, for features (N, P, C) and sizes (width, height) in pixels."""
