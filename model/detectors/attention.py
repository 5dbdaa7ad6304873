"""The embedded detector: boxes around the tagger's own evidence for a tag.

A box scores what the tagger says of its pooled features alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.boxes import boxes_of, evidence
from model.detectors.base import Detection, View
from model.regions import region_scores
from model.tagger import Tagger
from model.windows import floats

MAX_BOXES = 2


class AttentionDetector:
    """Boxes from a tagger that has not seen the images."""

    def __init__(self, tagger: Tagger) -> None:
        self.tagger = tagger.eval()

    def detect(
        self, views: Sequence[View], candidates: Sequence[Sequence[int]]
    ) -> list[list[Detection]]:
        """At most two boxes per candidate; see `Detector.detect`."""
        found = []
        for view, labels in zip(views, candidates, strict=True):
            positions, (width, height) = view.features, view.size
            # What the tagger has not learned it has no evidence for.
            columns = np.array([n for n in labels if n < self.tagger.labels], np.int64)
            maps = evidence(self.tagger, floats(positions).numpy(), columns)
            boxes = [boxes_of(heat, MAX_BOXES) for heat in maps]
            of_label = np.repeat(columns, [len(some) for some in boxes])
            flat = np.array([box for some in boxes for box in some], np.float32).reshape(-1, 4)
            image = np.zeros(len(flat), np.int64)
            scores = region_scores(self.tagger, positions[None], image, flat)
            pixels = flat.astype(np.float64) * [width, height, width, height]
            found.append(
                [
                    Detection(int(label), (x1, y1, x2, y2), float(score))
                    for label, score, (x1, y1, x2, y2) in zip(
                        of_label, scores[np.arange(len(flat)), of_label], pixels.tolist(),
                        strict=True,
                    )
                ]
            )  # fmt: skip
        return found

    def refuses(self, label: int) -> str | None:
        """See `Detector.refuses`."""
        if label < self.tagger.labels:
            return None
        return "not looked for: the model that judges the image has not learned the tag"
