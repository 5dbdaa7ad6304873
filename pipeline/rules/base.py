"""What a cleaning rule sees of one tag, and what it says about each image that has the tag."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.columns import Floats
from pipeline.config import CleanConfig
from pipeline.dataset import Ints
from pipeline.regions import Regions

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TagEvidence:
    """One tag over all images that carry it and have a region of it.

    `of_image` (R,) is the image row of each region; `features` (R, D), streamed where there are too
    many to be held; `region_scores` (R,) is the tagger's score of the tag in the region alone,
    `other_scores` (R,) that of the strongest other tag of its kind, named in `other_names`, and
    `other_said` (R,) whether a caption of the image names that one.
    `image_scores` (M,) are held-out scores of the whole images, `unseen_scores` (U,) those of
    images that carry the tag but have no region of it, `absent_scores` (A,) those of images that
    do not carry it. All scores come from models that have not seen the image;
    `slope` is what their log-odds are worth (`evidence_slope`), `certain` the probability of being
    wrong above which tags go (`certain_from`), `noise` the share that is wrong of all tags
    (`wrong_share`, `most_wrong`), `look` how much looks at regions count in the scores
    (`SecondLook.weights`).
    """

    name: str
    kind: str
    image_ids: list[str]
    in_caption: Bools
    image_scores: Floats
    unseen_scores: Floats
    absent_scores: Floats
    slope: float
    certain: float
    noise: float
    look: float
    of_image: Ints
    region_ids: list[str]
    features: Floats | Regions
    region_scores: Floats
    other_scores: Floats
    other_names: list[str]
    other_said: Bools

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


@dataclass(frozen=True)
class Opinions:
    """What a rule says of one tag: columns, one row per image, for a tag may have a million.

    `drop` (M,), `scores` (M,) and `reasons`; `regions` (M,) are the rows of the regions that were
    looked at.
    """

    drop: Bools
    scores: Floats
    threshold: float
    reasons: Sequence[str]
    regions: Ints


Rule = Callable[[TagEvidence, CleanConfig, int], Opinions]
"""(evidence of a tag, config, seed) -> a row per image, in the order of `image_ids`."""


def too_few(evidence: TagEvidence, count: int, what: str, config: CleanConfig) -> str | None:
    """Why a tag is left alone that has less than `clean.min_regions` of something."""
    if count < config.min_regions:
        return f"only {count} {what} of {evidence.name}: left alone"
    return None


def incomparable(evidence: TagEvidence) -> str | None:
    """Why nothing can be said of a tag that every image carries."""
    if not len(evidence.absent_scores):
        return f"no score of an image without {evidence.name} to compare with: left alone"
    return None


def left_alone(evidence: TagEvidence, regions: Ints, why: str) -> Opinions:
    """Keep all, and say nothing of them but why."""
    nothing = np.full(evidence.images, np.nan, np.float32)
    keep = np.zeros(evidence.images, bool)
    return Opinions(keep, nothing, float("nan"), [why] * evidence.images, regions)
