"""Metrics and thresholds against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.metrics import evaluate_scores, precision_thresholds

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


def test_precision_threshold_by_hand() -> None:
    scores = np.array([[0.9], [0.8], [0.7], [0.6], [0.5]], np.float32)
    targets = np.array([[1], [1], [1], [0], [1]], np.float32)
    # Estimates (right + .35) / (k + 1): .675, .78, .84, .67, .725; the last of at least .7.
    assert precision_thresholds(scores, targets, 0.7)[0] == pytest.approx(0.5)
    assert precision_thresholds(scores, targets, 0.75)[0] == pytest.approx(0.7)


def test_one_lucky_hit_opens_no_class() -> None:
    scores = np.array([[0.9], [0.1]], np.float32)
    assert precision_thresholds(scores, np.array([[1], [0]], np.float32), 0.9)[0] > 1
    assert precision_thresholds(scores, np.zeros((2, 1), np.float32), 0.5)[0] > 1


def test_equal_scores_are_taken_together() -> None:
    scores = np.array([[0.9], [0.5], [0.5], [0.5]], np.float32)
    targets = np.array([[1], [1], [0], [0]], np.float32)
    threshold = precision_thresholds(scores, targets, 0.7)[0]
    said = scores[:, 0] >= threshold
    assert not said.any() or targets[said, 0].mean() >= 0.7
