"""The captioner learns a few captions by heart, follows its tags, and stops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from model import products
from model.captioner import (
    BEGIN,
    END,
    PAD,
    Captioner,
    encode_texts,
    new_captioner,
    pad_tags,
)
from model.config import CaptionerConfig
from model.stepping import Stepping
from model.train import train_captioner
from tests.model.helpers import CHANNELS, Halves, queries

TEXTS = ["a dog runs on the grass", "two boats rest in a harbour", "the skateboarder jumps"]
TAGS = [[0, 1], [2], [3, 4, 5]]
SMALL = CaptionerConfig(hidden=32, heads=2, epochs=40, batch=3, dropout=0.0, lr=5e-3)


def maps() -> Halves:
    return np.random.default_rng(0).random((3, 9, CHANNELS)).astype(np.float16)


def trained(seed: int = 0, features: Halves | None = None) -> Captioner:
    features = maps() if features is None else features
    return train_captioner(features, TAGS, np.arange(3), TEXTS, queries(6), SMALL, seed=seed)


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return trained()


def test_it_learns_three_captions_by_heart(captioner: Captioner) -> None:
    assert captioner.generate(maps(), TAGS) == TEXTS


def test_order_of_tags_does_not_matter(captioner: Captioner) -> None:
    assert captioner.generate(maps(), [row[::-1] for row in TAGS]) == TEXTS


def test_batch_mates_do_not_change_a_caption(captioner: Captioner) -> None:
    """The published code gives every image of a batch the first image's caption."""
    assert [captioner.generate(maps()[i : i + 1], [TAGS[i]])[0] for i in range(3)] == TEXTS


def test_tags_alone_can_guide() -> None:
    same = np.ones((3, 9, CHANNELS), np.float16)
    config = SMALL.model_copy(update={"tag_dropout": 0.0})
    guided = train_captioner(same, TAGS, np.arange(3), TEXTS, queries(6), config)
    assert guided.generate(same, TAGS) == TEXTS


def test_same_seed_same_captioner(captioner: Captioner) -> None:
    again = trained().state_dict()
    assert all(bool((again[name] == value).all()) for name, value in captioner.state_dict().items())


def test_captions_end_without_tags_and_without_going_round(captioner: Captioner) -> None:
    noise = (np.random.default_rng(9).random((5, 9, CHANNELS)) * 4).astype(np.float16)
    for caption in captioner.generate(noise, [[]] * 5):
        words = caption.split()
        pairs = list(itertools.pairwise(words))
        assert len(pairs) == len(set(pairs))
        assert len(words) <= captioner.max_pieces


def test_pieces_are_framed_and_cut(captioner: Captioner) -> None:
    rows = encode_texts(captioner, ["a dog", "dog " * 100])
    assert rows[0, 0] == BEGIN
    assert rows[0].tolist().count(END) == 1
    assert (rows[0, 4:] == PAD).all()
    assert rows[1, -1] == END


def test_before_training_all_pieces_are_about_as_likely() -> None:
    """Tied weights that start large say again what was just said, and training spends itself."""
    shape = SMALL.model_dump(include={"hidden", "layers", "heads", "dropout", "max_pieces"})
    torch.manual_seed(0)
    fresh = new_captioner(maps(), queries(6), TEXTS, shape).eval()
    line = encode_texts(fresh, TEXTS)[:, :6]
    memory = fresh.memory(torch.from_numpy(maps()).float(), torch.zeros(3, 1).long())
    likely = fresh(*memory, line).softmax(dim=-1).detach()
    assert float(likely.max()) < 3 / len(fresh.pieces)


def test_steps_compute_what_the_whole_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_multiplies_bfloat16", lambda: False)
    shape = SMALL.model_dump(include={"hidden", "layers", "heads", "dropout", "max_pieces"})
    torch.manual_seed(0)
    captioner = new_captioner(maps(), queries(6), TEXTS, shape | {"heads": 4, "dropout": 0.5})
    captioner.eval()
    pieces = encode_texts(captioner, TEXTS)[:, :6]
    with torch.inference_mode():
        memory, padding = captioner.memory(torch.from_numpy(maps()).float(), pad_tags(TAGS))
        assert padding.any()
        whole = captioner(memory, padding, pieces)
        step = Stepping(captioner.decoder, memory, padding)
        for place in range(6):
            states = captioner.embedding(pieces[:, place : place + 1]) + captioner.position[place]
            logits = captioner._logits(step(states))[:, 0]
            assert torch.allclose(logits, whole[:, place], atol=1e-5)
            assert not torch.allclose(logits, whole[:, place - 1], atol=1e-3)
