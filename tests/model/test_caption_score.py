"""CIDEr-D, beside the paper's formula written again, and its interval."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from model.caption_score import cider, mean_interval
from model.errors import ModelError

SAID = (
    ("a brown dog runs over the grass", "the dog is running on green grass"),
    ("two people sit on a wooden bench", "a man and a woman on a bench", "people sitting"),
    ("a red car in the street", "a car parked at the side of a street"),
)


def grams(text: str, n: int) -> Counter[tuple[str, ...]]:
    words = text.split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def weighed(text: str, n: int) -> dict[tuple[str, ...], float]:
    """Eq. 1: tf-idf of n-grams, over the images whose captions have them."""
    seen = [set().union(*(grams(one, n) for one in texts)) for texts in SAID]
    return {
        gram: count * math.log(len(SAID) / max(1, sum(gram in s for s in seen)))
        for gram, count in grams(text, n).items()
    }


def formula(caption: str, place: int) -> float:
    """Vedantam et al. 2015, eq. 1-4 and 6: clipped cosines of tf-idf, a penalty for length."""
    total = 0.0
    for n in (1, 2, 3, 4):
        mine = weighed(caption, n)
        for text in SAID[place]:
            theirs = weighed(text, n)
            dot = sum(min(value, theirs.get(g, 0)) * theirs.get(g, 0) for g, value in mine.items())
            size = math.hypot(*mine.values()) * math.hypot(*theirs.values())
            gap = len(caption.split()) - len(text.split())
            total += (dot / size if size else 0) * math.exp(-(gap**2) / (2 * 6.0**2))
    return 10 * total / 4 / len(SAID[place])


def test_scores_are_those_of_the_formula() -> None:
    captions = ("a dog runs over the grass", "two people on a bench", "a car in a street")
    wanted = [formula(caption, n) for n, caption in enumerate(captions)]
    assert min(wanted) > 0.5
    np.testing.assert_allclose(cider(captions, SAID), wanted, rtol=1e-6)


def test_signs_and_capitals_do_not_count_and_other_captions_score_less() -> None:
    captions = ("A dog, runs over the grass!", "Two people on a bench.", "a car in a street")
    plain = ("a dog runs over the grass", "two people on a bench", "a car in a street")
    np.testing.assert_array_equal(cider(captions, SAID), cider(plain, SAID))
    assert (cider(plain, SAID) > cider(plain[1:] + plain[:1], SAID)).all()
    assert cider(("", *plain[1:]), SAID)[0] == 0


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ModelError, match="at least two images"):
        cider(("a dog",), (("a dog",),))
    with pytest.raises(ModelError, match="each with a human caption"):
        cider(("a dog", "a cat"), (("a dog",), ()))
    with pytest.raises(ModelError, match="hold no word"):
        cider(("a dog", "a cat"), (("...",), ("!", "")))


def test_the_interval_holds_the_mean_and_narrows() -> None:
    values = np.random.default_rng(0).exponential(1.0, 400)
    few, many = mean_interval(values[:25], 0), mean_interval(values, 0)
    for mean, low, high in (few, many):
        assert low < mean < high
    assert many[2] - many[1] < 0.5 * (few[2] - few[1])
    # about 1.96 standard errors to each side
    assert many[2] - many[1] == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.15)
