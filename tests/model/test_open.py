"""Labels that were never trained rank above chance where their queries lie near trained ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.checkpoint import CheckpointInfo, load_tagger, save_checkpoint
from model.config import TrainConfig
from model.metrics import mean_average_precision
from model.open import (
    RIDGES,
    START,
    WIDTHS,
    learn_open,
    near_left_out,
    near_weights,
    ridge_left_out,
    ridge_weights,
)
from model.tagger import Floats, Halves, Tagger
from model.train import train_tagger
from tests.model.helpers import SMALL

TOPICS, PER_TOPIC, WIDTH = 6, 4, 16
CONFIG = SMALL.model_copy(update={"readout_lr": 5e-3, "readout_epochs": 10})


def topical(seed: int = 0) -> tuple[Halves, Floats, Floats]:
    """240 images of 24 labels in 6 topics; a topic shares channels, and its queries lie close."""
    rng = np.random.default_rng(seed)
    topic = np.repeat(np.arange(TOPICS), PER_TOPIC)
    queries = np.eye(TOPICS, WIDTH)[topic] + 0.15 * rng.normal(size=(len(topic), WIDTH))
    shown = rng.random((240, TOPICS)) < 0.3
    targets = shown[:, topic] & (rng.random((240, len(topic))) < 0.8)
    features = rng.random((240, 9, 24))
    features[:, :, :TOPICS] += 1.5 * shown[:, None, :] * (rng.random((240, 9, 1)) < 0.5)
    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    return features.astype(np.float16), targets.astype(np.float32), unit.astype(np.float32)


@pytest.fixture(scope="module")
def trained() -> tuple[Tagger, Halves, Floats, Floats]:
    """A tagger of three labels a topic, with images, targets and queries of the fourth."""
    features, targets, queries = topical()
    hidden = np.arange(len(queries)) % PER_TOPIC == 0
    tagger = train_tagger(features[:160], targets[:160, ~hidden], queries[~hidden], CONFIG)
    return tagger, features[160:], targets[160:][:, hidden], queries[hidden]


def ask(tagger: Tagger, features: Halves, queries: Floats) -> Floats:
    with torch.inference_mode():
        positions = torch.from_numpy(features.astype(np.float32))
        logits: Floats = tagger.open_logits(positions, torch.from_numpy(queries)).numpy()
    return logits


def test_unseen_labels_rank_far_above_chance(
    trained: tuple[Tagger, Halves, Floats, Floats],
) -> None:
    tagger, features, truth, queries = trained
    logits = ask(tagger, features, queries)
    assert logits.shape == truth.shape
    assert mean_average_precision(logits, truth) > truth.mean() + 0.35
    # Asked by the query of another topic, they are no better than chance.
    wrong = ask(tagger, features, np.roll(queries, 1, axis=0))
    assert mean_average_precision(wrong, truth) < truth.mean() + 0.2


def test_open_logits_are_roughly_probabilities(
    trained: tuple[Tagger, Halves, Floats, Floats],
) -> None:
    tagger, features, truth, queries = trained
    said = 1 / (1 + np.exp(-ask(tagger, features, queries)))
    assert abs(said.mean() - truth.mean()) < 0.15
    assert said[truth > 0].mean() > said[truth == 0].mean() + 0.2


def test_open_labels_do_not_depend_on_each_other(
    trained: tuple[Tagger, Halves, Floats, Floats],
) -> None:
    tagger, features, _, queries = trained
    together = ask(tagger, features, queries)
    np.testing.assert_allclose(ask(tagger, features, queries[2:3]), together[:, 2:3], atol=1e-4)
    assert ask(tagger, features, queries[:0]).shape == (len(features), 0)


def test_a_checkpoint_keeps_the_answers(
    trained: tuple[Tagger, Halves, Floats, Floats], tmp_path: Path
) -> None:
    tagger, features, _, queries = trained
    numbers = range(tagger.labels)
    info = CheckpointInfo(
        "baseline", -1, "v", tuple(numbers), tuple(map(str, numbers)),
        ("object",) * tagger.labels, "e", 0,
    )  # fmt: skip
    loaded, _ = load_tagger(tmp_path / save_checkpoint(tagger, info, tmp_path))
    np.testing.assert_array_equal(ask(loaded, features, queries), ask(tagger, features, queries))


@pytest.mark.parametrize("ridge", RIDGES)
def test_leaving_out_in_closed_form_is_leaving_out(ridge: float) -> None:
    rng = torch.Generator().manual_seed(0)
    seen, logits = (
        torch.randn(7, 12, generator=rng, dtype=torch.float64),
        torch.randn(30, 7, generator=rng, dtype=torch.float64),
    )
    # Centring looks at all queries; where they are centred already it changes nothing by hand.
    seen = seen - seen.mean(dim=0)
    seen = seen / seen.square().sum(dim=1).mean().sqrt()
    rest = torch.arange(7) != 3
    kernel = seen @ seen.T
    by_hand = (
        logits[:, rest]
        @ torch.linalg.inv(kernel[rest][:, rest] + ridge * torch.eye(6, dtype=torch.float64))
        @ kernel[rest][:, 3]
    )
    torch.testing.assert_close(ridge_left_out(logits, seen, ridge)[:, 3], by_hand)


@pytest.mark.parametrize("width", WIDTHS)
def test_leaving_out_the_nearest_is_leaving_out(width: float) -> None:
    rng = torch.Generator().manual_seed(0)
    seen, logits = torch.randn(7, 12, generator=rng), torch.randn(30, 7, generator=rng)
    rest = torch.arange(7) != 3
    by_hand = logits[:, rest] @ near_weights(seen[rest], seen[3:4], width)
    torch.testing.assert_close(near_left_out(logits, seen, width)[:, 3:4], by_hand)


def test_nonsense_queries_learn_to_say_little() -> None:
    rng = torch.Generator().manual_seed(0)
    logits, seen = torch.randn(200, 30, generator=rng), torch.randn(30, 12, generator=rng)
    targets = (torch.rand(200, 30, generator=rng) < 0.1).float()
    _, _, first, second, bias = learn_open(logits, targets, torch.ones(200, 30), seen).tolist()
    assert max(first, second) < 0.1
    assert abs(1 / (1 + np.exp(-bias)) - 0.1) < 0.03


def test_ridge_weights_give_back_a_trained_label_at_little_ridge() -> None:
    seen = torch.eye(5, 8)
    weights = ridge_weights(seen, seen[2:3], 1e-4)
    assert weights.argmax() == 2


def test_without_images_to_hold_out_nothing_is_chosen() -> None:
    features, targets, queries = topical()
    config = TrainConfig(**(CONFIG.model_dump() | {"holdout": 0.0}))
    tagger = train_tagger(features[:160], targets[:160], queries, config)
    assert tagger.open_setting.tolist() == pytest.approx([1.0, 0.06, 0.5, 0.5, 0.0])
    assert (tagger.logit_std != 1).any()


def test_a_single_label_has_no_other_to_learn_from() -> None:
    """With enough images to hold some out."""
    features, targets, queries = topical()
    tagger = train_tagger(features[:80], targets[:80, :1], queries[:1], CONFIG)
    np.testing.assert_array_equal(tagger.open_setting.numpy(), np.array(START, np.float32))
    assert np.isfinite(ask(tagger, features[80:90], queries[1:3])).all()
