"""Detectors by name: one file, one line here."""

from __future__ import annotations

from collections.abc import Callable

from model.detectors.attention import AttentionDetector
from model.detectors.base import Detection, Detector
from model.errors import ModelError
from model.tagger import Tagger

DETECTORS: dict[str, Callable[[Tagger], Detector]] = {
    "attention": AttentionDetector,
}


def make_detector(name: str, tagger: Tagger) -> Detector:
    """The detector of that name.

    Raises:
        ModelError: there is none; the message lists the choices.
    """
    if name not in DETECTORS:
        raise ModelError(f"unknown detector {name!r}; choose from: {', '.join(sorted(DETECTORS))}")
    return DETECTORS[name](tagger)


__all__ = ["DETECTORS", "Detection", "Detector", "make_detector"]
