"""Metrics against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.metrics import evaluate_scores, intervals

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


def test_intervals_take_ties_as_one_step() -> None:
    """Rounded scores tie in groups; the order of rows says nothing."""
    targets = np.array([[1]] * 3 + [[0]] * 7, np.float32)
    low, high = intervals(np.full((10, 1), 0.5, np.float32), targets)["mAP"]
    assert low < evaluate_scores(np.zeros((10, 1), np.float32), targets).overall["mAP"] < high < 0.7
    random = np.random.default_rng(3)
    targets = (random.random((150, 6)) < 0.2).astype(np.float32)
    scores = (random.random((150, 6)) + 0.4 * targets).round(1).astype(np.float32)
    low, high = intervals(scores, targets, seed=1)["mAP"]
    drawn = [random.integers(0, 150, 150) for _ in range(300)]
    found = [evaluate_scores(scores[rows], targets[rows]).overall["mAP"] for rows in drawn]
    figure = evaluate_scores(scores, targets).overall["mAP"]
    assert low < figure < high
    assert high - low == pytest.approx(np.subtract(*np.percentile(found, (97.5, 2.5))), rel=0.2)


def test_a_threshold_per_class_is_used() -> None:
    scores = np.array([[0.6, 0.6], [0.2, 0.2]], np.float32)
    targets = np.array([[1, 1], [0, 0]], np.float32)
    found = evaluate_scores(scores, targets, np.array([0.5, 0.7], np.float32)).overall
    assert found["CR"] == 0.5 and found["OR"] == 0.5 and found["OP"] == 1.0
