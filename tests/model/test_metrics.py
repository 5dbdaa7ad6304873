"""Metrics and thresholds against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.metrics import (
    best_f1_thresholds,
    evaluate_scores,
    intervals,
    precision_thresholds,
)

SCORES = np.array([[0.9, 0.2, 0.1], [0.8, 0.7, 0.2], [0.3, 0.6, 0.3], [0.1, 0.1, 0.9]], np.float32)
TARGETS = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]], np.float32)


def test_by_hand() -> None:
    result = evaluate_scores(SCORES, TARGETS)
    # Class 0: positives at ranks 1 and 3, (1 + 2/3) / 2. Class 1: ranks 1 and 4, (1 + 2/4) / 2.
    assert result.per_class[:2] == pytest.approx([5 / 6, 3 / 4])
    assert np.isnan(result.per_class[2])
    assert result.overall["mAP"] == pytest.approx((5 / 6 + 3 / 4) / 2)
    assert result.overall["classes"] == 2
    # At .5 both classes say two images, one rightly, and miss one of two.
    for name in ("CP", "CR", "CF1", "OP", "OR", "OF1"):
        assert result.overall[name] == pytest.approx(0.5), name


def test_a_class_never_predicted_has_precision_zero() -> None:
    overall = evaluate_scores(SCORES * np.array([1, 0.1, 1], np.float32), TARGETS).overall
    assert overall["CP"] == pytest.approx(0.25)
    assert overall["CR"] == pytest.approx(0.25)
    assert overall["OP"] == pytest.approx(0.5)
    assert overall["OR"] == pytest.approx(0.25)


def test_threshold_is_inclusive_and_nothing_shown_is_zero() -> None:
    assert evaluate_scores(SCORES, TARGETS, threshold=0.9).overall["OR"] == pytest.approx(0.25)
    assert evaluate_scores(SCORES, np.zeros_like(TARGETS)).overall["mAP"] == 0


def calibrated(seed: int, images: int = 400, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are the probabilities of their targets."""
    chance = np.random.default_rng(seed)
    scores = chance.uniform(0, 1, (images, classes)).astype(np.float32)
    targets = (chance.uniform(0, 1, scores.shape) < scores).astype(np.float32)
    return scores, targets


@pytest.mark.parametrize("wanted", [0.3, 0.5, 0.8])
def test_thresholds_lie_where_the_wanted_probability_is_reached(wanted: float) -> None:
    scores, targets = calibrated(0)
    assert precision_thresholds(scores, targets, wanted) == pytest.approx([wanted] * 6, abs=0.12)


def test_a_class_that_is_wrong_more_often_gets_a_higher_threshold() -> None:
    scores, targets = calibrated(1)
    targets[:, 0] *= np.random.default_rng(2).uniform(0, 1, len(targets)) < 0.5
    thresholds = precision_thresholds(scores, targets, 0.4)
    assert thresholds[0] > thresholds[1:].max()


def test_nothing_is_learned_of_pairs_that_are_unknown() -> None:
    scores, targets = calibrated(1)
    unknown = np.zeros(scores.shape, bool)
    unknown[::3] = True
    rest = ~unknown[:, 0]
    shown = np.where(unknown, 1 - targets, targets).astype(np.float32)
    for some in (lambda *of: precision_thresholds(*of[:2], 0.5, *of[2:]), best_f1_thresholds):
        found, without = some(scores, shown, unknown), some(scores[rest], targets[rest])
        assert found == pytest.approx(without, abs=0.02)
        assert found != pytest.approx(some(scores, shown), abs=0.02)


def test_one_lucky_hit_opens_no_class() -> None:
    scores, targets = calibrated(3)
    scores[:, 0], targets[:, 0] = 0.05, 0
    scores[0, 0], targets[0, 0] = 0.2, 1
    assert precision_thresholds(scores, targets, 0.5)[0] > 1
    assert (precision_thresholds(scores, np.zeros_like(targets), 0.5) > 1).all()
    assert precision_thresholds(scores[:0], targets[:0], 0.5).shape == (6,)


def test_equal_scores_are_taken_together() -> None:
    scores = np.array([[0.9], [0.5], [0.5], [0.5]], np.float32)
    targets = np.array([[1], [1], [0], [0]], np.float32)
    threshold = precision_thresholds(scores, targets, 0.7)[0]
    said = scores[:, 0] >= threshold
    assert not said.any() or targets[said, 0].mean() >= 0.7


def test_intervals_hold_the_figures_of_resampled_images() -> None:
    random = np.random.default_rng(3)
    targets = (random.random((150, 6)) < 0.2).astype(np.float32)
    scores = (random.random((150, 6)) + 0.4 * targets).astype(np.float32)
    thresholds = np.linspace(0.4, 0.9, 6).astype(np.float32)
    found = intervals(scores, targets, thresholds, seed=1)
    drawn: dict[str, list[float]] = {}
    for _ in range(300):
        rows = random.integers(0, 150, 150)
        for name, value in evaluate_scores(scores[rows], targets[rows], thresholds).overall.items():
            drawn.setdefault(name, []).append(value)
    for name, (low, high) in found.items():
        assert low == pytest.approx(np.percentile(drawn[name], 2.5), abs=0.02)
        assert high == pytest.approx(np.percentile(drawn[name], 97.5), abs=0.02)
    assert found == intervals(scores, targets, thresholds, seed=1)


def test_intervals_lie_round_the_figure_where_positives_are_few() -> None:
    random = np.random.default_rng(5)
    targets = (random.random((60, 150)) < 0.06).astype(np.float32)
    scores = (random.random((60, 150)) + 0.1 * targets).astype(np.float32)
    figure = evaluate_scores(scores, targets).overall["mAP"]
    drawn = [random.integers(0, 60, 60) for _ in range(60)]
    doubled = [evaluate_scores(scores[rows], targets[rows]).overall["mAP"] for rows in drawn]
    # Images that are doubled raise average precision, of whatever model.
    raised = np.mean(doubled) - figure
    assert raised > 0.015
    low, high = intervals(scores, targets)["mAP"]
    assert low < figure < high
    assert abs((low + high) / 2 - figure) < 0.3 * raised
    assert high - low == pytest.approx(np.subtract(*np.percentile(doubled, (97.5, 2.5))), rel=0.3)


def test_a_threshold_per_class_is_used() -> None:
    scores = np.array([[0.6, 0.6], [0.2, 0.2]], np.float32)
    targets = np.array([[1, 1], [0, 0]], np.float32)
    found = evaluate_scores(scores, targets, np.array([0.5, 0.7], np.float32)).overall
    assert found["CR"] == 0.5 and found["OR"] == 0.5 and found["OP"] == 1.0


def test_a_score_counts_against_what_its_class_scores_without_the_tag() -> None:
    """A class that scores low everywhere gives its tag at a score that is nothing to another."""
    chance = np.random.default_rng(0)
    targets = (chance.random((600, 4)) < 0.3).astype(np.float32)
    odds = 4 * targets + chance.normal(size=targets.shape) - 2 + np.array([0, 0, 0, -4])
    scores = (1 / (1 + np.exp(-odds))).astype(np.float32)
    cuts = precision_thresholds(scores, targets, 0.7)
    assert cuts[3] < 0.1 < cuts[:3].min()
    found = scores >= cuts
    assert (found & (targets > 0))[:, 3].sum() > 0.8 * targets[:, 3].sum()


def test_best_f1_is_the_best_cut_of_a_class_with_many_positives() -> None:
    scores, targets = calibrated(3, images=4000)
    thresholds = best_f1_thresholds(scores, targets)
    for column, cut in enumerate(thresholds):
        tried = np.linspace(0.05, 0.95, 91)
        said = scores[:, column] >= tried[:, None]
        right = (said * targets[:, column]).sum(axis=1)
        f1 = 2 * right / (said.sum(axis=1) + targets[:, column].sum())
        own = scores[:, column] >= cut
        found = 2 * (own * targets[:, column]).sum() / (own.sum() + targets[:, column].sum())
        assert found >= f1.max() - 2e-3


def test_a_lucky_class_does_not_set_its_own_cut() -> None:
    scores, targets = calibrated(4, images=400, classes=12)
    targets[:, 0] = 0
    lucky = int(np.argmin(scores[:, 0]))
    targets[lucky, 0] = 1  # its only positive scores lowest: alone it would give every image
    thresholds = best_f1_thresholds(scores, targets)
    assert thresholds[0] > 0.25
    assert (best_f1_thresholds(scores, np.zeros_like(targets)) > 1).all()


def test_images_that_tie_are_given_together() -> None:
    scores = np.repeat(np.array([[0.9], [0.5], [0.1]], np.float32), (3, 40, 40), axis=0)
    targets = np.zeros_like(scores)
    targets[:3], targets[3:33] = 1, 1
    assert best_f1_thresholds(scores, targets) == pytest.approx([0.3])
