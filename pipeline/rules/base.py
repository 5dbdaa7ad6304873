"""What a cleaning rule sees of one tag, and what it says about each image that has the tag."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.columns import Floats
from pipeline.config import CleanConfig
from pipeline.dataset import Ints
from pipeline.regions import Regions

Verdict = Literal["keep", "drop"]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TagEvidence:
    """One tag over all images that carry it and have a region of it.

    `of_image` (R,) is the image row of each region; `features` (R, D), streamed where there are too
    many to be held; `region_scores` (R,) is the tagger's score of the tag in the region alone,
    `other_scores` (R,) that of the strongest other tag of its kind, named in `other_names`.
    `image_scores` (M,) are held-out scores of the whole images, `absent_scores` (A,) those of
    images that do not carry the tag. All scores come from models that have not seen the image;
    `slope` is what their log-odds are worth (`evidence_slope`).
    """

    name: str
    kind: str
    image_ids: list[str]
    in_caption: Bools
    image_scores: Floats
    absent_scores: Floats
    slope: float
    of_image: Ints
    region_ids: list[str]
    features: Floats | Regions
    region_scores: Floats
    other_scores: Floats
    other_names: list[str]

    @property
    def images(self) -> int:
        """Images that carry the tag and have a region of it."""
        return len(self.image_ids)

    def best_region(self, values: Floats) -> tuple[Floats, Ints]:
        """The highest value (M,) over each image's regions, and which region (M,) has it."""
        order = np.lexsort((-values, self.of_image))
        first = np.searchsorted(self.of_image[order], np.arange(self.images))
        best = order[first]
        return values[best], best


class Opinion(NamedTuple):
    """What a rule says of one image's tag; `region` is the row of the region it looked at."""

    verdict: Verdict
    score: float
    threshold: float
    reason: str
    region: int


def opinions_of(
    drop: Bools, scores: Sequence[float], threshold: float, reasons: Sequence[str], regions: Ints
) -> list[Opinion]:
    """One opinion an image from the columns of them: a tag may have a million."""
    verdicts = ["drop" if dropped else "keep" for dropped in drop.tolist()]
    rows = zip(verdicts, scores, repeat(threshold), reasons, regions.tolist(), strict=False)
    # There are no cycles here to look for; the collector would go over all of them many times.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return [Opinion._make(row) for row in rows]
    finally:
        if collecting:
            gc.enable()


Rule = Callable[[TagEvidence, CleanConfig, int], list[Opinion]]
"""(evidence of a tag, config, seed) -> one opinion per image, in the order of `image_ids`."""


def left_alone(evidence: TagEvidence, regions: Ints, why: str) -> list[Opinion]:
    """Keep all, because the tag is too rare to be judged."""
    return [Opinion("keep", float("nan"), float("nan"), why, int(r)) for r in regions]
