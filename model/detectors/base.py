"""The contract of all detectors: images and their own candidate tags in, boxes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from model.tagger import Halves


@dataclass(frozen=True, slots=True)
class View:
    """An image as detectors see it: its feature map (P, C), its size (width, height) in pixels.

    `picture` reads the pixels, None where they are gone; a detector that needs them asks once.
    """

    features: Halves
    size: tuple[int, int]
    picture: Callable[[], Image.Image | None]


@dataclass(frozen=True, slots=True)
class Detection:
    """A box, xyxy in pixels of the image, for one label; score 0 to 1.

    `prompt` is the text that the detector was asked with, where it reads text.
    """

    label: int
    box: tuple[float, float, float, float]
    score: float
    prompt: str | None = None


class Detector(Protocol):
    """Finds where an image shows its candidate labels."""

    def detect(
        self, views: Sequence[View], candidates: Sequence[Sequence[int]]
    ) -> list[list[Detection]]:
        """Detections per image for its own candidates, places in the label list.

        The list begins with the labels of the tagger; the rest it has not learned.
        """

    def refuses(self, label: int) -> str | None:
        """Why a label cannot be looked for; None where it can."""
