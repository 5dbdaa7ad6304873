"""Names, tags and columns: who answers for what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.checkpoint import CheckpointInfo
from model.errors import ModelError
from model.image_tagger import LakeTagger, RamTagger
from model.published import PublishedLabels, load_published
from model.tagger import Tagger
from model.text import TextEncoder
from tests.model.published import Tiny, save, weights_of

PICTURES = [Image.effect_noise((50, 40), sigma).convert("RGB") for sigma in (20, 60, 90)]


class Looked:
    """An encoder that counts how often it is asked; its features are the picture's mean colour."""

    name, digest = "looked", "d"

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, pictures: list[Image.Image]) -> np.ndarray:
        self.calls += 1
        means = [np.asarray(p, np.float32).mean(axis=(0, 1)) / 255 for p in pictures]
        return np.repeat(np.array(means, np.float16)[:, None], 4, axis=1)


@pytest.fixture
def lake_tagger() -> LakeTagger:
    names = ("train", "train", "dog")
    torch.manual_seed(0)
    tagger = Tagger(3, torch.from_numpy(TextEncoder().label_queries(names)), 8, 1, 2, 0.0, 0.0)
    torch.nn.init.normal_(tagger.overview.weight)
    kinds = ("object", "action", "object")
    info = CheckpointInfo("baseline", -1, "v", (7, 8, 9), names, kinds, "d", 0)
    cuts = np.array([0.1, 0.2, 0.3], np.float32)
    return LakeTagger(tagger, info, Looked(), names, cuts, ((0,), (1,), (2,)))


def test_two_tags_of_one_name_stay_two(lake_tagger: LakeTagger) -> None:
    own = lake_tagger.score(PICTURES)
    by_id = lake_tagger.of_tags((9, 8, 7))
    np.testing.assert_array_equal(by_id.score(PICTURES), own[:, ::-1])
    assert by_id.thresholds is not None
    np.testing.assert_array_equal(by_id.thresholds, np.array([0.3, 0.2, 0.1], np.float32))
    merged = lake_tagger.of_tags((9, 4), (4, 9, 4))
    expected = np.stack([own[:, 1], own[:, [0, 2]].max(axis=1)], axis=1)
    np.testing.assert_array_equal(merged.score(PICTURES), expected)
    assert merged.thresholds is not None and merged.names == ("train", "train")
    np.testing.assert_array_equal(merged.thresholds, np.array([0.2, 0.1], np.float32))
    with pytest.raises(ValueError, match="tag 3"):
        lake_tagger.of_tags((9, 3))
    by_name = lake_tagger.asked(["Train"])
    np.testing.assert_array_equal(by_name.score(PICTURES)[:, 0], own[:, :2].max(axis=1))
    assert by_name.thresholds is not None and by_name.thresholds[0] == np.float32(0.1)


def test_pictures_are_encoded_together(lake_tagger: LakeTagger) -> None:
    lake_tagger.score(PICTURES)
    assert isinstance(lake_tagger.encoder, Looked) and lake_tagger.encoder.calls == 1


def test_open_labels_are_told_apart(lake_tagger: LakeTagger) -> None:
    asked = lake_tagger.asked(["zebra", "dog"])
    assert asked.open_labels == {0} and lake_tagger.open_labels == set()
    # An open label takes nobody's threshold away.
    assert asked.thresholds is not None
    np.testing.assert_array_equal(asked.thresholds, np.array([0.5, 0.3], np.float32))
    scores = asked.score(PICTURES)
    np.testing.assert_array_equal(scores[:, 1], lake_tagger.score(PICTURES)[:, 2])
    features = asked.encoder.encode(PICTURES)
    queries = TextEncoder().label_queries(["zebra"])
    np.testing.assert_array_equal(scores[:, 0], asked.tagger.score_open(features, queries)[:, 0])


def ram(tiny: Tiny, path: Path) -> RamTagger:
    model = load_published(save(weights_of(tiny), path), descriptions=tiny.descriptions)
    labels = PublishedLabels(("dog", "cat", "sky", "train", "run", "red", "train"),
                             (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7))  # fmt: skip
    return RamTagger.of(model, labels, TextEncoder())


@pytest.mark.parametrize("variant", ("ram", "tag2text"))
def test_names_of_a_published_list_need_no_text_encoder(variant: str, tmp_path: Path) -> None:
    tagger = ram(Tiny(variant=variant), tmp_path / "a.pth")
    own, asked = tagger.score(PICTURES), tagger.asked(["sky", "train"])
    wanted = np.stack([own[:, 2], own[:, [3, 6]].max(axis=1)], axis=1)
    np.testing.assert_array_equal(asked.score(PICTURES), wanted)
    assert asked.thresholds is not None and asked.thresholds[0] == np.float32(0.3)
    with pytest.raises(ModelError, match="zebra"):
        tagger.asked(["sky", "zebra"])


def test_other_names_are_asked_with_the_queries_of_its_text_encoder(tmp_path: Path) -> None:
    tagger = ram(Tiny(text_dim=TextEncoder.dim), tmp_path / "a.pth")
    asked = tagger.asked(["sky", "zebra"])
    assert asked.open_labels == {1} and asked.thresholds is not None
    np.testing.assert_array_equal(asked.thresholds, np.array([0.3, 0.5], np.float32))
    scores = asked.score(PICTURES)
    np.testing.assert_array_equal(scores[:, 0], tagger.score(PICTURES)[:, 2])
    np.testing.assert_allclose(
        scores[:, 1], tagger.asked(["zebra"]).score(PICTURES)[:, 0], atol=1e-6
    )
    assert np.std(scores[:, 1]) > 0
