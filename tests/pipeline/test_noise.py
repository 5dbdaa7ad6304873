"""The noise of tags: how likely one is wrong, from scores of images with and without it."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.rules.noise import (
    CERTAIN,
    LEAST_CERTAIN,
    PRIOR_SHARE,
    certain_from,
    evidence_slope,
    midpoints,
    most_wrong,
    support,
    wrong_posterior,
    wrong_share,
)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-values))).astype(np.float32)


def test_support_is_zero_midway_between_images_with_and_without_the_tag() -> None:
    absent = sigmoid(np.array([-5.0, -4.0, -3.0]))
    carried = sigmoid(np.array([2.0, 2.0, 2.0, -4.0]))
    np.testing.assert_allclose(support(carried, absent, 1.0), [3, 3, 3, -3], atol=1e-3)


def test_midpoints_are_those_of_each_tag() -> None:
    scores = sigmoid(np.array([[2.0, 1.0, 4.0], [-4.0, 1.0, 0.0], [-2.0, 1.0, -1.0]]))
    scores[0, 2] = 0  # not learned there
    carried = np.array([[1, 1, 1], [0, 1, 1], [0, 1, 0]])
    unsure = np.zeros((3, 3), bool)
    found = midpoints(scores, carried, unsure)
    np.testing.assert_allclose(found, [(2 - 3) / 2, np.nan, -0.5], atol=1e-4)
    unsure[2, 0] = True  # perhaps there: no example of an absent tag
    assert midpoints(scores, carried, unsure)[0] == pytest.approx((2 - 4) / 2, abs=1e-4)


def judged(
    apart: float, wrong: float, seed: int = 0, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (1000, 20) of judges that see a thing `apart` from its absence, what is carried, and
    which of it is right; scores of right ones `spread` further than those of others."""
    chance = np.random.default_rng(seed)
    carried = chance.random((1000, 20)) < 0.3
    right = carried & (chance.random(carried.shape) >= wrong)
    # Of two normal distributions of spread 1, their distance is the slope of the log-odds.
    middle, width = np.where(right, spread * apart / 2, -apart / 2), np.where(right, spread, 1.0)
    odds = chance.normal(middle, width) * apart
    return sigmoid(odds), carried.astype(np.float32), right


@pytest.mark.parametrize("apart", [1.5, 2.5])
def test_no_more_right_tags_go_than_are_allowed(apart: float) -> None:
    scores, carried, right = judged(apart, 0.1)
    sure = np.zeros_like(right)
    shares = []
    for allowed in (0.1, 0.3):
        cut = certain_from(scores, carried, sure, 1.0, 0.1, allowed)
        gone = 0
        for column in range(scores.shape[1]):
            mine = carried[:, column] > 0
            weight = support(scores[mine, column], scores[~mine, column], 1.0)
            drop = wrong_posterior(weight)[0] > cut
            gone += int((drop & right[mine, column]).sum())
        shares.append(gone / int((carried > 0).sum() - right.sum()))
    # So many right ones for each wrong one, as far as noise is known.
    assert shares == pytest.approx([0.1, 0.3], rel=0.35)


def test_strong_judges_drop_nothing_for_the_sake_of_the_allowance() -> None:
    scores, carried, _ = judged(8, 0.1)
    sure = np.zeros_like(scores, bool)
    assert certain_from(scores, carried, sure, 1.0, 0.1, 0.2) == LEAST_CERTAIN
    assert certain_from(scores, carried, sure, 1.0, 0.1, 0.0) > 0.9


def test_without_examples_even_odds_decide() -> None:
    scores, carried, right = judged(2, 0.1)
    sure = np.zeros_like(right)
    assert certain_from(scores, carried * 0, sure, 1.0, 0.1, 0.2) == CERTAIN
    assert certain_from(scores, carried, ~sure, 1.0, 0.1, 0.2) == CERTAIN


def test_the_slope_of_evidence_undoes_the_scale_of_scores() -> None:
    chance = np.random.default_rng(0)
    carried = (chance.random((2000, 3)) < 0.2).astype(np.float32)
    odds = chance.normal(np.where(carried > 0, 1.0, -1.0), 1.0) + np.array([0.0, -2.0, 2.0])
    # Normal with a gap of 2 and a spread of 1: the log-odds grow by 2 a step (Fisher).
    sure = np.zeros(carried.shape, bool)
    assert evidence_slope(sigmoid(odds), carried, sure) == pytest.approx(2, abs=0.15)
    assert evidence_slope(sigmoid(odds / 2), carried, sure) == pytest.approx(4, abs=0.3)
    # Captions leave out a third; told where, the slope is the same.
    said = carried * (chance.random(carried.shape) < 0.67)
    assert evidence_slope(sigmoid(odds), said, sure) < 1.6
    unsure = (carried > 0) & (said == 0)
    assert evidence_slope(sigmoid(odds), said, unsure) == pytest.approx(2, abs=0.15)
    assert evidence_slope(sigmoid(odds), carried * 0, sure) == 1
    few = carried * (np.cumsum(carried, axis=0) < 5)
    assert evidence_slope(sigmoid(odds), few, sure) == 1
    # The first tag is scored by models that have not seen one of its images, and by no other.
    stored = sigmoid(odds)
    stored[carried[:, 0] > 0, 0] = 0
    assert evidence_slope(stored, carried, sure) == pytest.approx(2, abs=0.15)
    assert support(sigmoid(odds[:, 0]), sigmoid(odds[:, 1]), 2.0) == pytest.approx(
        2 * support(sigmoid(odds[:, 0]), sigmoid(odds[:, 1]), 1.0), abs=1e-4
    )


@pytest.mark.parametrize("wrong", [0.0, 0.02, 0.1, 0.3])
def test_the_noise_of_all_tags_together_is_estimated(wrong: float) -> None:
    scores, carried, right = judged(3, wrong)
    sure = np.zeros_like(right)
    truly = 1 - right.sum() / carried.sum()
    assert wrong_share(scores, carried, sure, 1.0) == pytest.approx(truly, abs=0.02 + 0.1 * truly)
    assert wrong_share(scores, carried * 0, sure, 1.0) == PRIOR_SHARE


@pytest.mark.parametrize("wrong", [0.0, 0.02, 0.1])
def test_hard_images_are_not_taken_for_wrong_ones(wrong: float) -> None:
    scores, carried, right = judged(3, wrong, spread=3)
    sure = np.zeros_like(right)
    truly = 1 - right.sum() / carried.sum()
    slope = evidence_slope(scores, carried, sure)
    # As on planted scenes: right ones spread wider than others, and some are hardly seen.
    seeming = wrong_share(scores, carried, sure, slope)
    assert truly < most_wrong(scores, carried, sure) < seeming - 0.015


def test_all_can_be_wrong_where_a_judge_sees_nothing() -> None:
    scores, carried, right = judged(0.01, 0.1)
    assert most_wrong(scores, carried, np.zeros_like(right)) > 0.9
    assert most_wrong(scores, carried * 0, np.zeros_like(right)) == 1
    # What is unsure is no example of an absent tag: there only the low scores are left.
    low = (carried == 0) & (scores > np.median(scores))
    assert most_wrong(scores, carried, low) < 0.7


def test_evidence_of_nothing_leaves_the_prior() -> None:
    posterior, estimate = wrong_posterior(np.zeros(500, np.float32))
    assert estimate == pytest.approx(PRIOR_SHARE)
    assert posterior == pytest.approx(PRIOR_SHARE)
