"""Training of the tagger: it learns, repeats itself bit by bit, and ignores what is unknown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.decoder import RecognitionDecoder
from model.train import train_tagger
from tests.model.helpers import SMALL, queries, scenes


def test_it_learns_a_tiny_set_by_heart() -> None:
    features, targets = scenes(32, 6)
    tagger = train_tagger(features, targets, queries(6), SMALL)
    scores = tagger.score(features)
    assert scores.shape == (32, 6)
    assert scores.dtype == np.float32
    assert ((scores > 0.5) == (targets > 0)).mean() > 0.97


def test_it_generalises_better_than_tag_frequency() -> None:
    features, targets = scenes(96, 6)
    tagger = train_tagger(features[:64], targets[:64], queries(6), SMALL)
    scores = tagger.score(features[64:])
    there, absent = scores[targets[64:] > 0], scores[targets[64:] == 0]
    assert there.mean() > absent.mean() + 0.3


def test_same_seed_same_weights_other_seed_other_weights() -> None:
    features, targets = scenes(24, 5)
    runs = [train_tagger(features, targets, queries(5), SMALL, seed=s) for s in (3, 3, 4)]
    states = [run.state_dict() for run in runs]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_unknown_entries_do_not_train() -> None:
    features, targets = scenes(24, 4)
    known = np.ones_like(targets)
    known[:, 1] = 0
    tagger = train_tagger(features, targets, queries(4), SMALL, known=known)
    assert tagger.readout.weight[1].abs().max() == 0
    assert tagger.readout.weight[0].abs().max() > 0


def test_fine_tuning_goes_on_and_leaves_its_start_alone() -> None:
    features, targets = scenes(32, 5)
    start = train_tagger(features, targets, queries(5), SMALL)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    gentle = SMALL.model_copy(update={"readout_epochs": 1, "epochs": 1, "lr": 1e-5,
                                      "readout_lr": 1e-5})  # fmt: skip
    tuned = train_tagger(features, targets, queries(5), gentle, init=start)
    assert all(torch.equal(before[name], value) for name, value in start.state_dict().items())
    assert np.abs(tuned.score(features) - start.score(features)).max() < 0.05


def test_progress_counts_every_step() -> None:
    features, targets = scenes(20, 4)
    seen: list[tuple[int, int]] = []
    train_tagger(features, targets, queries(4), SMALL, progress=lambda *step: seen.append(step))
    total = 2 * (SMALL.readout_epochs + SMALL.epochs)  # 20 images are two steps of 16
    assert seen == [(step, total) for step in range(1, total + 1)]


def test_chosen_labels_score_as_among_all() -> None:
    features, targets = scenes(8, 6)
    tagger = train_tagger(features, targets, queries(6), SMALL)
    part = torch.from_numpy(features.astype(np.float32))
    with torch.no_grad():
        torch.testing.assert_close(
            tagger(part, torch.tensor([4, 1])), tagger(part)[:, [4, 1]], rtol=1e-3, atol=1e-3
        )


def test_readout_is_a_soft_maximum_over_positions_plus_the_mean() -> None:
    features, targets = scenes(6, 4)
    tagger = train_tagger(features, targets, queries(4), SMALL)
    states = (torch.from_numpy(features.astype(np.float32)) - tagger.mean) / tagger.std
    with torch.no_grad():
        evidence = states @ tagger.readout.weight.T
        overview = states.mean(1) @ tagger.overview.weight.T
        pooled = tagger.read_out(torch.from_numpy(features.astype(np.float32)))
        pooled = pooled - tagger.readout.bias - overview
        heat = tagger.temperature.double()
        by_hand = (heat * (torch.exp(evidence.double() / heat).mean(1)).log()).float()
    assert overview.abs().max() > 0.01
    torch.testing.assert_close(pooled, by_hand, rtol=1e-3, atol=1e-3)
    assert (pooled <= evidence.max(1).values + 1e-4).all()
    assert (pooled >= evidence.mean(1) - 1e-4).all()


@pytest.mark.parametrize("images", [0, 1, 17])
def test_scores_of_any_number_of_images(images: int) -> None:
    features, targets = scenes(20, 4)
    tagger = train_tagger(features, targets, queries(4), SMALL)
    np.testing.assert_allclose(
        tagger.score(features[:images]), tagger.score(features)[:images], atol=1e-6
    )


def test_a_decoder_that_has_not_learned_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets = scenes(24, 4)
    silent = train_tagger(features, targets, queries(4), SMALL.model_copy(update={"epochs": 0}))
    learned = train_tagger(features, targets, queries(4), SMALL)
    scores = [tagger.score(features) for tagger in (silent, learned)]
    with monkeypatch.context() as patch:
        patch.setattr(RecognitionDecoder, "silent", False)
        for tagger, expected in zip((silent, learned), scores, strict=True):
            assert np.array_equal(tagger.score(features), expected)
    asked = []
    monkeypatch.setattr(
        RecognitionDecoder, "forward",
        lambda _, labels, tokens: asked.append(1) or torch.zeros(len(tokens), len(labels)),
    )  # fmt: skip
    assert np.array_equal(silent.score(features), scores[0]) and not asked
    assert not np.array_equal(learned.score(features), scores[1]) and asked
