"""The encoder's last blocks: company, what they learn, and their way through a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import nn

from model.adapt import adapt, adapt_steps, mirror, mixing, passes, warmed_up
from model.checkpoint import CheckpointInfo, load_tagger, save_checkpoint
from model.config import TrainConfig
from model.encoder import make_encoder
from model.errors import ModelError
from model.last_blocks import LastBlocks
from model.readout import Examples
from model.tagger import Tagger
from model.train import train_tagger
from tests.model.helpers import SMALL, Floats, Halves, queries

LEARNING = SMALL.model_copy(update={"encoder_epochs": 12, "encoder_lr": 1e-2})


class Tiny:
    """Of an encoder what training asks for; its last blocks are one small layer."""

    name, digest = "tiny", "t"

    def last_blocks(self) -> LastBlocks:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return LastBlocks([nn.Conv2d(4, 5, 1), nn.ReLU()])


def either(images: int, seed: int = 0) -> tuple[Halves, Floats]:
    """Features (N, 16, 4) in which a label is there if one of two channels is, but not both.

    No linear read-out of the features sees that.
    """
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (images, 4))
    noise = rng.normal(0, 0.1, (images, 16, 4))
    features = (2.0 * bits[:, None] - 1 + noise).astype(np.float16)
    targets = np.stack([bits[:, 0] ^ bits[:, 1], bits[:, 2] ^ bits[:, 3]], axis=1)
    return features, targets.astype(np.float32)


def judged(config: TrainConfig) -> float:
    """Mean average precision on other images."""
    features, targets = either(160)
    tagger = train_tagger(features, targets, queries(2), config, encoder=Tiny(), seed=1)
    test, truth = either(160, seed=1)
    return float(average_precision_score(truth, tagger.score(test)))


def test_blocks_learn_what_a_readout_cannot_see() -> None:
    frozen = judged(LEARNING.model_copy(update={"encoder_epochs": 0, "epochs": 0}))
    learned = judged(LEARNING.model_copy(update={"epochs": 0}))
    assert frozen < 0.8 and learned > 0.95


def learn(
    blocks: LastBlocks, features: Halves, targets: Floats, known: Floats, config: TrainConfig,
    advance: Callable[[Tagger | None], None],
) -> Tagger:  # fmt: skip
    """Teach blocks under a new read-out; `advance` is told of each step and whose it is."""
    pairs = torch.from_numpy(targets), torch.from_numpy(known)
    seen = Examples.of(blocks.maps(features), *pairs)
    kinds = np.zeros(2, np.int64)
    tagger = warmed_up(seen, queries(2), kinds, config, lambda: advance(None))
    adapt(blocks, tagger, features, *pairs, config, lambda: advance(tagger))
    return tagger


def adapted(
    features: Halves, targets: Floats, known: Floats, seed: int = 0, config: TrainConfig = LEARNING
) -> Floats:
    torch.manual_seed(seed)
    blocks, steps = Tiny().last_blocks(), []
    learn(blocks, features, targets, known, config, steps.append)
    assert len(steps) == adapt_steps(len(features), config, goes_on=False)
    assert not any(weight.requires_grad for weight in blocks.parameters())
    weights: Floats = blocks.blocks[0].weight.numpy()
    return weights


def test_a_seed_gives_the_same_blocks_and_unknown_pairs_teach_nothing() -> None:
    features, targets = either(48)
    known = np.ones_like(targets)
    known[::3, 1] = 0
    first = adapted(features, targets, known)
    assert np.array_equal(first, adapted(features, targets, known))
    assert not np.array_equal(first, adapted(features, targets, known, seed=1))
    other = np.where(known > 0, targets, 1 - targets)
    assert np.array_equal(first, adapted(features, other, known))
    assert not np.array_equal(first, adapted(features, 1 - targets, known))


def test_many_pictures_are_seen_less_often_but_each_once() -> None:
    config = TrainConfig(encoder_epochs=4, encoder_pictures=2400)
    assert [passes(count, config) for count in (20, 533, 800, 1600, 14_000_000)] == [4, 4, 3, 2, 1]
    assert passes(20, config.model_copy(update={"encoder_epochs": 0})) == 0


def test_mirrored_pictures_have_left_and_right_exchanged() -> None:
    features = torch.arange(2 * 9.0).reshape(2, 9, 1)
    turned = mirror(features, torch.tensor([True, False]))
    assert turned[0].flatten().tolist() == [2, 1, 0, 5, 4, 3, 8, 7, 6]
    assert torch.equal(turned[1], features[1])


def test_company_does_not_change_maps() -> None:
    blocks = make_encoder("efficientnet-lite0").last_blocks()
    features = np.random.default_rng(0).random((3, 784, 80)).astype(np.float16)
    together = blocks.maps(features)
    assert together.shape == (3, 196, 1280) and together.dtype == np.float16
    assert np.array_equal(blocks.maps(features[2:])[0], together[2])


def test_a_tagger_keeps_its_blocks_and_another_training_gives_the_same(tmp_path: Path) -> None:
    features = np.random.default_rng(0).random((20, 784, 80)).astype(np.float16)
    targets = (np.random.default_rng(1).random((20, 2)) < 0.5).astype(np.float32)
    config = SMALL.model_copy(update={"encoder_epochs": 1, "readout_epochs": 1})
    encoder = make_encoder("efficientnet-lite0")
    tagger = train_tagger(features, targets, queries(2), config, encoder=encoder)
    # The second training with an encoder need not read it again.
    second = train_tagger(features, targets, queries(2), config, encoder=encoder)
    assert np.array_equal(second.score(features), tagger.score(features))
    published = encoder.last_blocks().maps(features[:2])
    assert not np.array_equal(tagger.maps(features[:2]), published)
    info = CheckpointInfo(
        "baseline", -1, "v", (0, 1), ("a", "b"), ("object", "object"), encoder.digest, 0
    )
    again, _ = load_tagger(tmp_path / save_checkpoint(tagger, info, tmp_path))
    assert np.array_equal(again.score(features), tagger.score(features))
    frozen = config.model_copy(update={"encoder_epochs": 0})
    tuned = train_tagger(features, targets, queries(2), frozen, init=again)
    assert np.array_equal(tuned.maps(features[:2]), tagger.maps(features[:2]))


def test_fine_tuning_goes_on_from_the_blocks_it_is_given() -> None:
    features, targets = either(160)
    start = train_tagger(features, targets, queries(2), LEARNING, encoder=Tiny(), seed=1)
    before = start.maps(features)
    # Steps this small leave the blocks where they were; those of the encoder are far away.
    small = LEARNING.model_copy(update={"encoder_epochs": 1, "encoder_lr": 1e-4})
    tuned = train_tagger(features, targets, queries(2), small, init=start, seed=1)
    assert np.allclose(tuned.maps(features), before, atol=0.02)
    assert not np.array_equal(tuned.maps(features), before)
    assert np.array_equal(start.maps(features), before)
    assert tuned.shape["encoder"] == "tiny"
    with pytest.raises(ModelError, match="label list"):
        train_tagger(features, targets, queries(3)[1:], small, init=start)


def test_blocks_learn_on_under_the_read_out_of_their_start_which_stays_as_it_is() -> None:
    features, targets = either(48)
    start = train_tagger(features, targets, queries(2), LEARNING, encoder=Tiny(), seed=1)
    config = LEARNING.model_copy(update={"encoder_epochs": 1, "holdout": 0.0})

    def learned_on() -> Floats:
        before = {name: value.clone() for name, value in start.state_dict().items()}
        tuned = train_tagger(features, targets, queries(2), config, init=start, seed=1)
        assert all(torch.equal(before[name], value) for name, value in start.state_dict().items())
        assert tuned.last_blocks is not None
        weights: Floats = tuned.last_blocks.blocks[0].weight.numpy()
        return weights

    first = learned_on()
    assert np.array_equal(first, learned_on())
    with torch.no_grad():
        start.readout.weight.neg_()
    assert not np.array_equal(first, learned_on())


def test_learning_on_takes_all_images_and_keeps_what_some_have_chosen() -> None:
    features, targets = either(160)
    start = train_tagger(features, targets, queries(2), LEARNING, encoder=Tiny(), seed=1)
    assert start.pooled[0] > 0
    start.pooled[1] = 0.75
    config = LEARNING.model_copy(update={"encoder_epochs": 1})
    steps: list[int] = []

    def learn_on(anew: bool) -> Tagger:
        return train_tagger(
            features, targets, queries(2), config, init=start, anew=anew, seed=1,
            progress=lambda _, total: steps.append(total),
        )  # fmt: skip

    for anew in (False, True):
        steps.clear()
        tuned = learn_on(anew)
        for name in ("pooled", "logit_mean", "logit_std", "open_setting", "second.weights"):
            assert torch.equal(tuned.state_dict()[name], start.state_dict()[name]), name
        alone = config.epochs + anew * config.readout_epochs
        assert steps[-1] == len(steps) == 10 * alone + adapt_steps(160, config, goes_on=True)
    # The share is taken, too: without it no label looks at the mean over all windows as much.
    start.pooled[1] = 0
    assert not torch.equal(learn_on(True).overview.weight, tuned.overview.weight)
    # Where nothing was chosen, the images learned from say how far logits spread.
    start.pooled.zero_()
    measured = learn_on(True)
    assert not measured.pooled.any()
    assert not torch.equal(measured.logit_mean, start.logit_mean)


def test_a_read_out_that_is_not_made_anew_learns_on_with_the_blocks() -> None:
    features, targets = either(160)
    start = train_tagger(features, targets, queries(2), LEARNING, encoder=Tiny(), seed=1)
    update = {"encoder_epochs": 1, "readout_lr": 1e-6, "epochs": 0, "encoder_places": 0.0}
    small = LEARNING.model_copy(update=update)
    kept, made = (
        train_tagger(features, targets, queries(2), small, init=start, anew=anew, seed=1)
        for anew in (False, True)
    )
    assert np.array_equal(kept.maps(features), made.maps(features))
    for name in ("readout.weight", "overview.weight", "readout.bias"):
        before, after, new = (one.state_dict()[name] for one in (start, kept, made))
        # Steps this small leave it where it was.
        assert torch.allclose(before, after, atol=1e-3) and not torch.equal(before, after)
        assert not torch.allclose(before, new, atol=1e-2)
    # The second look stays that of the start.
    before = start.second.linear.weight
    assert torch.equal(before, kept.second.linear.weight)
    assert not torch.equal(before, made.second.linear.weight)
    # The decoder looks through the new maps.
    taught = small.model_copy(update={"epochs": 1})
    tuned = train_tagger(features, targets, queries(2), taught, init=start, anew=False, seed=1)
    assert not torch.equal(tuned.image_proj.weight, start.image_proj.weight)


def test_only_as_many_blocks_learn_as_are_told() -> None:
    class Three(Tiny):
        def last_blocks(self) -> LastBlocks:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                return LastBlocks([nn.Conv2d(4, 4, 1), nn.Conv2d(4, 5, 1), nn.ReLU()])

    features, targets = either(48)
    start = Three().last_blocks().state_dict()
    learned = {}
    for count in (1, 2, 3):
        config = LEARNING.model_copy(update={"encoder_blocks": count, "encoder_epochs": 1})
        tagger = train_tagger(features, targets, queries(2), config, encoder=Three(), seed=1)
        assert tagger.last_blocks is not None
        found = tagger.last_blocks.state_dict()
        learned[count] = [name for name in start if not torch.equal(found[name], start[name])]
    last, both = ["blocks.1.weight", "blocks.1.bias"], list(start)
    assert learned == {1: [], 2: last, 3: both}


def test_weights_are_averaged_over_the_last_steps() -> None:
    features, targets = either(48)
    config = LEARNING.model_copy(update={"encoder_epochs": 3, "encoder_average": 0.5})
    blocks = Tiny().last_blocks()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def look(tagger: Tagger | None) -> None:
        if tagger is not None:
            weights = blocks.blocks[0].weight, tagger.readout.weight
            seen.append((weights[0].detach().clone(), weights[1].detach().clone()))

    tagger = learn(blocks, features, targets, np.ones_like(targets), config, look)
    steps = 3 * 48 // config.encoder_batch
    assert len(seen) == steps
    for part, weight in enumerate((blocks.blocks[0].weight, tagger.readout.weight)):
        expected = torch.stack([step[part] for step in seen[-steps // 2 :]]).mean(dim=0)
        assert torch.allclose(weight, expected, atol=1e-6)
        assert not torch.allclose(weight, seen[-1][part], atol=1e-6)


def test_places_teach_beside_whole_images() -> None:
    features, targets = either(48)
    alone = LEARNING.model_copy(update={"encoder_places": 0})
    known = np.ones_like(targets)
    assert not np.array_equal(
        adapted(features, targets, known), adapted(features, targets, known, config=alone)
    )


def test_mixed_pictures_keep_at_least_half_of_themselves() -> None:
    torch.manual_seed(0)
    drawn = [mixing(8, 0.4) for _ in range(50)]
    shares = [share for share, _ in drawn]
    assert 0.5 <= min(shares) < 0.7 < 0.95 < max(shares) <= 1
    assert all(sorted(order.tolist()) == list(range(8)) for _, order in drawn)
    assert mixing(8, 0.0)[0] == 1


def test_a_mixed_picture_answers_for_the_tags_of_both() -> None:
    features, targets = either(48)
    plain = adapted(features, targets, np.ones_like(targets))
    mixed = LEARNING.model_copy(update={"encoder_mix": 0.4})
    first = adapted(features, targets, np.ones_like(targets), config=mixed)
    assert not np.array_equal(first, plain)
    # Unknown pairs teach nothing, on neither side of a mixture.
    known = np.ones_like(targets)
    known[::3, 1] = 0
    other = np.where(known > 0, targets, 1 - targets)
    same = (adapted(features, goal, known, config=mixed) for goal in (targets, other))
    assert np.array_equal(*same)
