"""Thresholds from held-out scores: of a wanted precision and of the best F1."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from model.thresholds import best_f1_thresholds, fit_curve, precision_thresholds


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


@pytest.mark.parametrize("said", [0.4, 0.7, 1.0])
def test_how_much_of_what_is_there_is_said(said: float) -> None:
    """Captions that leave out a share of all tags alike."""
    scores, targets = calibrated(0, 2000)
    odds = 2 * np.log(scores / (1 - scores))  # and a model that is too sure
    told = targets * (np.random.default_rng(1).random(targets.shape) < said)
    curve = fit_curve((1 / (1 + np.exp(-odds))).astype(np.float32), told.astype(np.float32))
    assert curve.top == pytest.approx(said, abs=0.05)
    assert curve.slope == pytest.approx([0.5] * 6, abs=0.08)
    # The wanted probability is that of being said.
    there = special.expit(0.5 * special.logit(curve.thresholds(0.3)))
    assert there * said == pytest.approx([0.3] * 6, abs=0.05)
    assert (curve.thresholds(said + 0.1) > 1).all()


def test_a_sample_of_many_pairs_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, targets = calibrated(0, 4000)
    targets[:, 1:] *= np.random.default_rng(1).random((len(targets), 5)) < 0.05
    whole = fit_curve(scores, targets).thresholds(0.4)
    monkeypatch.setattr("model.thresholds.SAMPLE", 4000)
    assert fit_curve(scores, targets).thresholds(0.4)[0] == pytest.approx(whole[0], abs=0.05)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_scores_that_say_nothing_or_everything(right: float) -> None:
    targets = (np.random.default_rng(0).random((200, 4)) < 0.3).astype(np.float32)
    apart = np.where(targets > 0, 0.9, 0.1).astype(np.float32)
    scores = right * apart + (1 - right) * np.full_like(apart, 0.3)
    cuts = fit_curve(scores, targets).thresholds(0.6)
    assert ((cuts > 0.1) & (cuts < 0.9)).all() if right else (cuts > 1).all()


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
    for some in (lambda *of: fit_curve(*of).thresholds(0.5), best_f1_thresholds):
        found, without = some(scores, shown, unknown), some(scores[rest], targets[rest])
        assert found == pytest.approx(without, abs=0.02)
        assert found != pytest.approx(some(scores, shown), abs=0.02)
    unknown[:, 0] = True
    assert fit_curve(scores, targets, unknown).thresholds(0.3)[0] > 1
    assert best_f1_thresholds(scores, targets, unknown)[0] > 1


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
