"""What places teach: where they are, and whom they tell apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from model.places import places, places_loss
from model.tagger import Tagger
from tests.model.helpers import queries

SIDE, CHANNELS = 6, 4


def tagger(kinds: list[int]) -> Tagger:
    """A silent tagger of labels that look at one channel each."""
    made = Tagger(
        channels=CHANNELS, queries=torch.from_numpy(queries(len(kinds))), hidden=8, layers=1,
        heads=1, dropout=0.0, readout_dropout=0.0,
    )  # fmt: skip
    made.second.kinds.copy_(torch.tensor(kinds))
    with torch.no_grad():
        made.readout.weight.copy_(torch.eye(len(kinds), CHANNELS))
    return made.eval()


def maps() -> Tensor:
    """One picture: channel 0 is seen in a corner, channel 1 in the one across, 2 nowhere."""
    found = torch.zeros(1, SIDE, SIDE, CHANNELS)
    found[0, :2, :2, 0] = 5
    found[0, 4:, 4:, 1] = 5
    return found.reshape(1, SIDE * SIDE, CHANNELS).requires_grad_(True)


def test_a_place_is_around_the_peak_and_its_positions_count_alike() -> None:
    evidence = torch.zeros(2, SIDE, SIDE)
    evidence[0, 4:, 4:] = 3
    where = places(evidence.flatten(1)).reshape(2, SIDE, SIDE)
    assert torch.allclose(where.sum(dim=(1, 2)), torch.ones(2))
    inside = where[0] > 0
    assert inside[4:, 4:].all() and not inside[:3].any() and not inside[:, :3].any()
    assert len(where[0][inside].unique()) == 1
    # Nothing is seen anywhere: every position may be it.
    assert torch.allclose(where[1], torch.full((SIDE, SIDE), 1 / SIDE**2))


def test_a_place_teaches_its_own_positions() -> None:
    judge, picture = tagger([0, 0, 0]), maps()
    judge.second.linear.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    loss = places_loss(judge, picture, torch.tensor([[1.0, 0, 0]]), torch.ones(1, 3))
    loss.backward()
    assert picture.grad is not None
    taught = (picture.grad != 0).any(dim=2).reshape(SIDE, SIDE)
    assert taught[:2, :2].all() and not taught[3:].any() and not taught[:, 3:].any()


@pytest.mark.parametrize(("kinds", "told_apart"), [([0, 0, 0], True), ([0, 1, 2], False)])
def test_only_labels_of_a_kind_are_told_apart(kinds: list[int], told_apart: bool) -> None:
    both = torch.tensor([[1.0, 1, 0]])
    loss = places_loss(tagger(kinds), maps(), both, torch.ones(1, 3))
    # A head that knows nothing is wrong by log 3 for each of two labels, or cannot be wrong.
    assert float(loss.detach()) == pytest.approx(2 * np.log(3) if told_apart else 0.0, abs=1e-6)


def test_pairs_count_by_their_weight() -> None:
    judge = tagger([0, 0, 0])
    targets = torch.tensor([[1.0, 1, 0]])
    one = float(places_loss(judge, maps(), targets, torch.tensor([[1.0, 0, 1]])))
    half = float(places_loss(judge, maps(), targets, torch.tensor([[1.0, 0.5, 1]])))
    assert (one, half) == (pytest.approx(np.log(3)), pytest.approx(1.5 * np.log(3)))
    assert float(places_loss(judge, maps(), torch.zeros(1, 3), torch.ones(1, 3))) == 0
