"""The second look: regions of a kind told apart, kinds left to themselves, weights learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from model.products import half_products
from model.second_look import LARGEST, STRENGTH, SecondLook
from model.train import train_tagger
from tests.model.helpers import SMALL, queries, scenes


def parts(count: int = 120, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Regions (R, 6) of labels 0 to 4; label k lights channel k."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 5
    features = rng.normal(size=(count, 6)).astype(np.float32)
    features[np.arange(count), labels] += 3
    return torch.from_numpy(features), labels


def looked(weights: np.ndarray | None = None) -> SecondLook:
    features, labels = parts()
    look = SecondLook(6, 7)
    look.kinds.copy_(torch.tensor([0, 0, 0, 1, 1, 2, 0]))
    look.fit(features, labels, np.ones(len(labels), np.float32) if weights is None else weights)
    return look


def test_it_is_multinomial_regression_within_a_kind() -> None:
    features, labels = parts()
    look = looked()
    own = labels < 3
    standard = ((features - features.mean(0)) / features.std(0)).numpy()
    peer = LogisticRegression(C=STRENGTH, tol=1e-6, max_iter=500).fit(standard[own], labels[own])
    share = peer.predict_proba(standard)
    odds = look(features)[:, :3].numpy()
    np.testing.assert_allclose(odds, np.log(share / (1 - share)), atol=0.02)


def test_two_of_a_kind_are_each_others_opposite() -> None:
    features, labels = parts()
    odds = looked()(features)
    torch.testing.assert_close(odds[:, 3], -odds[:, 4], atol=1e-3, rtol=1e-3)
    right = odds[labels == 3, 3]
    assert (right > 0).float().mean() > 0.9


def test_what_had_no_region_or_no_rival_is_not_looked_at() -> None:
    features, labels = parts()
    look = SecondLook(6, 7)
    look.kinds.copy_(
        torch.tensor([0, 0, 0, 1, 2, 2, 0])
    )  # 3 is the only one of kind 1 with regions
    look.fit(features, labels, np.ones(len(labels), np.float32))
    assert look.looked.tolist() == [True, True, True, False, False, False, False]
    assert (look(features)[:, 3:] == 0).all()
    whole = torch.randn(4, 7)
    look.weights.copy_(torch.tensor([0.5, 2.0, -1.0]))
    odds = look(features[:4])
    mixed = look.weigh(whole, odds)
    assert torch.equal(mixed[:, 3:], whole[:, 3:])
    torch.testing.assert_close(mixed[:, :3], 0.5 * whole[:, :3] + 2 * odds[:, :3] - 1)


def test_an_example_of_no_weight_teaches_nothing() -> None:
    features, labels = parts(2000)
    wrong = np.arange(len(labels)) % 4 == 0
    false_labels = np.where(wrong & (labels < 3), (labels + 1) % 3, labels)
    heavy, light, clean = (SecondLook(6, 7) for _ in range(3))
    ones = np.ones(len(labels), np.float32)
    for look, names, weights in (
        (heavy, false_labels, ones), (light, false_labels, np.where(wrong, 0, ones)),
        (clean, labels, ones),
    ):  # fmt: skip
        look.kinds.copy_(torch.tensor([0, 0, 0, 1, 1, 2, 0]))
        look.fit(features, names, weights.astype(np.float32))
    own = torch.from_numpy(labels < 3)
    rows = np.flatnonzero(labels < 3)
    surely = [look(features)[own][range(len(rows)), labels[rows]].mean() for look in
              (heavy, light, clean)]  # fmt: skip
    assert surely[1] > surely[0] + 0.2
    assert abs(surely[1] - surely[2]) < abs(surely[0] - surely[2])


def test_log_odds_are_bounded() -> None:
    odds = looked()(1000 * torch.eye(6))
    assert odds.isfinite().all()
    assert odds.abs().max() <= LARGEST


@pytest.mark.parametrize("useful", ["whole", "odds"])
def test_weights_follow_the_view_that_knows(useful: str) -> None:
    rng = torch.Generator().manual_seed(0)
    targets = (torch.rand(200, 7, generator=rng) < 0.3).float()
    noise = torch.randn(2, 200, 7, generator=rng)
    views = {"whole": noise[0].clone(), "odds": noise[1].clone()}
    views[useful] += 4 * (targets - 0.5)
    look = looked()
    look.looked[:] = True
    look.learn_weights(views["whole"], views["odds"], targets, torch.ones_like(targets))
    first, second, _ = look.weights.tolist()
    assert (first > 5 * second) == (useful == "whole")
    assert min(first, second) >= 0


def test_training_gives_a_tagger_eyes_for_regions() -> None:
    features, targets = scenes(100, 4)
    tagger = train_tagger(features, targets, queries(4), SMALL, kinds=["a", "a", "b", "b"])
    assert tagger.second.kinds.tolist() == [0, 0, 1, 1]
    assert tagger.second.looked.all()
    lone = torch.full((1, 24), 0.5)
    lone[0, 2] += 8
    odds = tagger.look(lone)[0]
    assert odds[2] > 1 > -1 > odds[3]
    assert not torch.equal(tagger.second.weights, torch.tensor([1.0, 0.0, 0.0]))


def test_a_training_in_half_precision_fits_it_in_full() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(2000) % 7
    features = torch.from_numpy(rng.normal(size=(2000, 256)).astype(np.float32))
    ones = np.ones(len(labels), np.float32)
    calm, hasty = SecondLook(256, 7), SecondLook(256, 7)
    calm.fit(features, labels, ones)
    with half_products():
        hasty.fit(features, labels, ones)
    assert torch.equal(hasty.linear.weight, calm.linear.weight)
