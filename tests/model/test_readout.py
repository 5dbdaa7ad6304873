"""The pooled read-out and the mixture: fitted right, folded exactly, chosen on held-out images."""

from __future__ import annotations

import numpy as np
import torch

from model.pooled import TEXT_SHARE, centred, fit_pooled
from model.readout import Choice, Examples, apply, held_out, mean_features, new_tagger
from model.tagger import Tagger
from model.train import train_tagger
from tests.model.helpers import SMALL, queries, scenes
from tests.model.test_open import topical


def test_pooled_weights_are_where_the_penalised_likelihood_is_flat() -> None:
    rng = torch.Generator().manual_seed(0)
    means, texts = torch.randn(80, 6, generator=rng), torch.randn(5, 4, generator=rng)
    means = (means - means.mean(0)) / means.std(0, correction=0)
    targets = (means[:, :5] + torch.randn(80, 5, generator=rng) > 0).float()
    known = (torch.rand(80, 5, generator=rng) < 0.8).float()
    fitted = fit_pooled(means, targets, known, texts, 10.0, torch.zeros(5), steps=200)
    # The prior over joined weights: covariance of labels is I + share^2 T T'.
    shared = centred(texts, texts)
    covariance = torch.eye(5) + TEXT_SHARE**2 * shared @ shared.T
    error = (torch.sigmoid(fitted(means)) - targets) * known
    slope = means.T @ error + 10.0 * (torch.linalg.inv(covariance) @ fitted.weight).T
    assert slope.abs().max() < 0.05
    assert error.sum(0).abs().max() < 0.05


def test_few_images_are_helped_by_labels_that_read_alike() -> None:
    features, targets, texts = topical()
    means = torch.from_numpy(features.astype(np.float32)).mean(1)
    means = (means - means.mean(0)) / means.std(0)
    rare = torch.from_numpy(targets[:160].copy())
    known = torch.ones_like(rare)
    known[4:, 0] = 0  # of label 0 only four images are known
    scores = {}
    for name, asked in (("texts", texts), ("none", np.ones_like(texts))):
        fitted = fit_pooled(
            means[:160], rare, known, torch.from_numpy(asked), 10.0, torch.zeros(len(texts))
        )
        logits = fitted(means[160:])[:, 0].numpy()
        there = targets[160:, 0] > 0
        scores[name] = logits[there].mean() - logits[~there].mean()
    assert scores["texts"] > scores["none"] + 0.3


def test_the_mixture_folds_into_the_weights_exactly() -> None:
    features, targets = scenes(60, 5)
    tagger = train_tagger(features, targets, queries(5), SMALL.model_copy(update={"holdout": 0}))
    data = Examples.of(features, torch.from_numpy(targets), torch.ones(targets.shape))
    positions = data.part(np.arange(60))
    with torch.no_grad():
        before = tagger.read_out(positions)
    prior = torch.logit(data.targets.mean(0))
    means = mean_features(tagger, data)
    pooled = fit_pooled(means, data.targets, data.known, tagger.queries, 30.0, prior)(means)
    ones = torch.ones(5)
    apply(Choice(30.0, 0.25, tagger.second.weights, ones, ones, tagger.open_setting), tagger, data)
    with torch.no_grad():
        after = tagger.read_out(positions)
    torch.testing.assert_close(after, 0.75 * before + 0.25 * pooled, rtol=1e-3, atol=1e-3)


def test_groups_are_held_out_whole_and_too_few_not_at_all() -> None:
    groups = np.repeat(np.arange(60), 2)
    held = held_out(120, groups, 0.2, 0)
    assert held.sum() == 24
    assert not set(groups[held]) & set(groups[~held])
    assert (held == held_out(120, groups, 0.2, 0)).all()
    assert (held != held_out(120, groups, 0.2, 1)).any()
    assert not held_out(40, None, 0.2, 0).any()
    assert not held_out(120, None, 0.0, 0).any()


def test_progress_counts_the_trial() -> None:
    features, targets = scenes(100, 4)
    seen: list[tuple[int, int]] = []
    train_tagger(features, targets, queries(4), SMALL, progress=lambda *step: seen.append(step))
    total = (7 + 5) * SMALL.readout_epochs + 7 * SMALL.epochs  # 100 images, 80 in the trial
    assert seen == [(step, total) for step in range(1, total + 1)]


def test_what_is_held_out_decides_and_fine_tuning_keeps_it() -> None:
    features, targets, texts = topical()
    tagger = train_tagger(features, targets, texts, SMALL)
    again = train_tagger(features, targets, texts, SMALL)
    assert _same(tagger, again)
    gentle = SMALL.model_copy(update={"readout_epochs": 1, "epochs": 0, "readout_lr": 1e-5})
    tuned = train_tagger(features, targets, texts, gentle, init=tagger)
    assert torch.equal(tuned.open_setting, tagger.open_setting)
    assert torch.equal(tuned.logit_std, tagger.logit_std)
    assert np.abs(tuned.score(features) - tagger.score(features)).max() < 0.05


def test_a_new_tagger_starts_at_tag_frequency_and_standardises() -> None:
    features, targets = scenes(60, 5)
    data = Examples.of(features, torch.from_numpy(targets), torch.ones(targets.shape))
    tagger = new_tagger(data, np.arange(60), queries(5), np.zeros(5, np.int64), SMALL).eval()
    np.testing.assert_allclose(tagger.score(features), np.tile(targets.mean(0), (60, 1)), atol=1e-5)
    seen = data.part(np.arange(60)).double()
    torch.testing.assert_close(tagger.mean, seen.mean((0, 1)).float())
    torch.testing.assert_close(tagger.std, seen.std((0, 1), correction=0).float())


def _same(one: Tagger, other: Tagger) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])
