"""CIDEr-D: how much a caption says what people said of the same image."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.errors import ModelError

Doubles = npt.NDArray[np.float64]
RESAMPLES = 1000
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> Doubles:
    """CIDEr-D (Vedantam et al. 2015) of each caption (N,), by `aac-metrics`; 0 to 10.

    N-grams of one to four words are weighed by how few of the N images people used them for, so
    that a caption's score depends on the images beside it. Words are lower-cased, without signs;
    the published figures cut them by Stanford's tokenizer in Java, which may differ in a digit.

    Raises:
        ModelError: fewer than two images, one without a human caption, or no word in any of these.
    """
    if len(captions) < 2 or not all(references):
        raise ModelError("CIDEr-D needs at least two images, each with a human caption")
    said = [[_words(text) for text in texts] for texts in references]
    if not any(map(any, said)):
        raise ModelError(f"the human captions of {len(said)} images hold no word, only signs")
    from aac_metrics.functional.cider_d import cider_d  # seconds to import

    _, each = cider_d([_words(caption) for caption in captions], said)
    found: Doubles = each["cider_d"].numpy()
    return found


def mean_interval(values: Doubles, seed: int) -> tuple[float, float, float]:
    """Mean of the images' scores and its 95 % interval over 1,000 resamplings of the images."""
    random = np.random.default_rng(seed)
    means = values[random.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(values.mean()), float(low), float(high)


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))
