"""The first pass: what it keeps, what the decoder then says, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import CheckpointError, ModelError
from model.published import load_published
from model.ram import RecognizeAnything
from model.shortlist import FILE, Shortlist, fit_shortlist
from tests.model.published import Tiny, save, weights_of


def spoken(images: int, noise: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (N, 6) and logits (N, 40) that depend on them linearly, but for noise."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randn(images, 6, generator=random)
    mixing = torch.randn(6, 40, generator=torch.Generator().manual_seed(99))
    offset = torch.linspace(-8, -2, 40)
    return tokens, tokens @ mixing + offset + noise * torch.randn(images, 40, generator=random)


def test_what_follows_from_the_token_is_kept() -> None:
    tokens, logits = spoken(300, 0.05)
    found = fit_shortlist(tokens, logits, torch.zeros(40), np.arange(300))
    assert found.images == 60 and found.kept > 0.98
    fresh, said = spoken(200, 0.05, seed=1)
    chosen = found.choose(fresh)
    assert chosen.shape == (200, 10)
    assert (chosen[:, 1:] > chosen[:, :-1]).all()
    listed = torch.zeros(200, 40, dtype=torch.bool).scatter_(1, chosen, True)
    kept = (listed & (said > 0)).sum() / (said > 0).sum()
    assert kept == pytest.approx(found.kept, abs=0.02)


def test_what_does_not_follow_is_lost_and_told() -> None:
    tokens, logits = spoken(300, 6.0)
    assert fit_shortlist(tokens, logits, torch.zeros(40), np.arange(300)).kept < 0.8


def test_it_is_not_judged_on_what_it_was_fitted_to() -> None:
    random = torch.Generator().manual_seed(3)
    tokens, logits = torch.randn(250, 240, generator=random), torch.randn(250, 40, generator=random)
    # With as many numbers as images any fit recalls its own.
    assert fit_shortlist(tokens, logits, torch.ones(40), np.arange(250)).kept < 0.5


def test_thresholds_decide_what_is_likely() -> None:
    tokens, logits = spoken(300, 0.05)
    cuts = torch.zeros(40)
    cuts[:10] = -20.0  # given to every image, though their logits are the lowest
    found = fit_shortlist(tokens, logits, cuts, np.arange(300))
    assert (found.choose(tokens[:5]) == torch.arange(10)).all()


def test_near_duplicates_stay_on_one_side_and_too_few_images_are_refused() -> None:
    tokens, logits = spoken(30, 0.05)
    with pytest.raises(ModelError, match="30 images are too few"):
        fit_shortlist(tokens, logits, torch.zeros(40), np.zeros(30, np.int64))
    with pytest.raises(ModelError, match="none to judge by has a tag"):
        fit_shortlist(tokens, logits, torch.full((40,), 1e3), np.arange(30))


@pytest.mark.parametrize("variant", ("ram", "ram_plus", "tag2text"))
def test_the_labels_on_it_have_their_exact_logits(variant: str, tmp_path: Path) -> None:
    tiny = Tiny(variant=variant)  # type: ignore[arg-type]
    path = save(weights_of(tiny), tmp_path / "a.pth")
    model: RecognizeAnything = load_published(path, descriptions=tiny.descriptions)
    shortlist = Shortlist(torch.randn(tiny.image_dim, 7), torch.zeros(7), 1.0, 1)
    with torch.no_grad():
        tokens = model.tokens(torch.randn(3, 3, 64, 64))
        exact, found = model.logits(tokens), model.shortlisted(tokens, shortlist)
    asked = found > -torch.inf
    assert asked.sum(dim=1).tolist() == [2, 2, 2]
    assert torch.equal(asked.nonzero()[:, 1].view(3, 2), shortlist.choose(tokens[:, 0]))
    torch.testing.assert_close(found[asked], exact[asked], atol=1e-5, rtol=1e-5)


def test_it_is_saved_beside_the_weights(tmp_path: Path) -> None:
    tokens, logits = spoken(300, 0.05)
    made = fit_shortlist(tokens, logits, torch.zeros(40), np.arange(300))
    made.save(tmp_path)
    again = Shortlist.load(tmp_path, 40)
    assert torch.equal(again.choose(tokens), made.choose(tokens))
    assert (again.kept, again.images) == (made.kept, 60)
    with pytest.raises(CheckpointError, match="40 labels, not 41"):
        Shortlist.load(tmp_path, 41)
    (tmp_path / FILE).write_bytes(b"no")
    with pytest.raises(CheckpointError, match="models shortlist"):
        Shortlist.load(tmp_path, 40)
