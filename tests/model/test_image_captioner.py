"""Who guides a caption: tags above their thresholds, but for those that are silenced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from model.errors import ModelError
from model.image_captioner import RamCaptioner
from model.image_tagger import RamTagger
from model.published import (
    TAG2TEXT_SILENCED,
    PublishedLabels,
    load_converted,
    load_published,
    published_labels,
    save_converted,
)
from model.text import TextEncoder
from tests.model.published import Tiny, save, weights_of

PICTURES = [Image.effect_noise((50, 40), sigma).convert("RGB") for sigma in (20, 60, 90)]
NAMES = tuple("abcdefg")


def tag2text(path: Path, labels: PublishedLabels) -> RamTagger:
    model = load_published(save(weights_of(Tiny(variant="tag2text")), path))
    return RamTagger.of(model, labels, TextEncoder())


def test_captions_are_guided_by_tags_above_their_thresholds(tmp_path: Path) -> None:
    labels = PublishedLabels(NAMES, (0.0, 1.0, 0.0, 0.0, 1.0, 0.5, 0.5), silenced=(2,))
    captioner = RamCaptioner(tag2text(tmp_path / "a.pth", labels))
    pixels = captioner.tagger.tokens(PICTURES)
    scores = captioner.tagger.score(PICTURES)
    wanted = [["a", "d", *(NAMES[place] for place in (5, 6) if row[place] > 0.5)] for row in scores]
    assert captioner.guides(pixels) == wanted
    told = captioner.caption(PICTURES)
    assert told == captioner.tagger.model.say(pixels, wanted)
    loud = replace(labels, silenced=())
    assert all("c" in row for row in RamCaptioner(
        tag2text(tmp_path / "b.pth", loud)).guides(pixels))  # fmt: skip


def test_without_thresholds_the_published_default_guides(tmp_path: Path) -> None:
    captioner = RamCaptioner(tag2text(tmp_path / "a.pth", PublishedLabels(NAMES)))
    scores = captioner.tagger.score(PICTURES)
    found = captioner.guides(captioner.tagger.tokens(PICTURES))
    assert [len(row) for row in found] == (scores > 0.68).sum(axis=1).tolist()
    assert any(found)


def test_ram_plus_writes_no_captions(tmp_path: Path) -> None:
    tiny = Tiny(variant="ram_plus")
    model = load_published(save(weights_of(tiny), tmp_path / "a.pth"), descriptions=3)
    with pytest.raises(ModelError, match="ram_plus has no captioner"):
        RamCaptioner(RamTagger.of(model, PublishedLabels(NAMES), TextEncoder()))


def test_tag2text_comes_with_what_is_published_beside_its_list(tmp_path: Path) -> None:
    names = [f"tag {n}" for n in range(3429)]
    for place, name in TAG2TEXT_SILENCED.items():
        names[place] = name
    names[2701] = "person"
    labels = published_labels("tag2text", tuple(names), None)
    assert {labels.names[place] for place in labels.silenced} == {
        "quarter", "back", "two", "three", "four", "five", "one",
    }  # fmt: skip
    assert labels.thresholds is not None
    assert labels.thresholds[2701] == 0.7 and labels.thresholds[0] == 0.68
    given = tuple(0.1 for _ in names)
    assert published_labels("tag2text", tuple(names), given).thresholds == given
    # The same lines of another list, or of another model, are other tags.
    assert published_labels("tag2text", tuple(names[1:]), None).silenced == ()
    assert published_labels("ram", tuple(names), None) == PublishedLabels(tuple(names))


def test_silence_is_kept_in_a_converted_checkpoint(tmp_path: Path) -> None:
    labels = PublishedLabels(NAMES, silenced=(1, 4))
    model = load_published(save(weights_of(Tiny(variant="tag2text")), tmp_path / "a.pth"))
    folder = save_converted(model, labels, tmp_path / "models")
    assert load_converted(folder)[1] == labels
