"""Both Grounding-DINO backends with tiny random weights: prompts, spans, boxes, no company."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel

from model.detectors import prompts
from model.detectors.base import Detection, View
from model.detectors.grounding import GroundingDetector, prepare, to_pixels
from model.detectors.grounding_dino import GroundingDino
from model.detectors.groundingdino import (
    Bert,
    GroundingDinoPackage,
    settings_of,
)
from model.detectors.prompts import MOST_PIECES, pack, tokenize
from model.errors import ModelError
from tests.model.dino import tiny_dino, tiny_package

NAMES = ("cat", "cattle", "dog", "red car", "Who? Me.", *(f"thing {n}" for n in range(200)))
SIDES = (64, 128)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny weights as transformers keeps them."""
    return tiny_dino(tmp_path_factory.mktemp("dino"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few layers of the package's network as published: under "model", "module." before keys."""
    return tiny_package(tmp_path_factory.mktemp("package") / "tiny.pth")


@pytest.fixture(scope="module", params=["grounding-dino", "groundingdino"])
def network(request: pytest.FixtureRequest, folder: Path, checkpoint: Path) -> Any:
    if request.param == "grounding-dino":
        return GroundingDino.open(folder)
    return GroundingDinoPackage.open(checkpoint)


def view(width: int, height: int, seed: int = 0) -> View:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return of_picture(lambda: Image.fromarray(pixels), (width, height))


def of_picture(read: Callable[[], Image.Image | None], size: tuple[int, int]) -> View:
    return View(np.zeros((1, 1), np.float16), size, read)


def same(one: Sequence[Detection], other: Sequence[Detection]) -> bool:
    return len(one) == len(other) and all(
        a.label == b.label and a.prompt == b.prompt and abs(a.score - b.score) <= 2e-4
        and np.allclose(a.box, b.box, atol=0.05)
        for a, b in zip(one, other, strict=True)
    )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, len(NAMES) - 1), max_size=200), st.randoms(use_true_random=False))
def test_prompts_hold_each_tag_once_at_its_span(labels: list[int], chance: Any) -> None:
    prompts = pack(labels, NAMES)
    shuffled = list(labels)
    chance.shuffle(shuffled)
    assert prompts == pack(shuffled, NAMES)
    held = [label for prompt in prompts for label in prompt.spans]
    assert sorted(held) == sorted(set(labels))
    for prompt in prompts:
        read = tokenize([prompt.text])
        pieces = read["input_ids"][0].tolist()
        assert read["attention_mask"].sum() == prompt.pieces <= len(pieces) == prompt.padded
        assert prompt.padded <= MOST_PIECES
        for label, (first, last) in prompt.spans.items():
            name = NAMES[label].lower().replace("?", "").replace(".", "")
            alone = tokenize([name])
            own = alone["input_ids"][0, : alone["attention_mask"].sum()].tolist()
            assert pieces[first:last] == own[1:-1]


def test_a_name_that_no_prompt_holds_is_found_nowhere(network: Any) -> None:
    names = ["dog " * 300, "...", "cat"]
    assert pack([0, 1], names) == []
    assert pack([0, 1, 2], names) == pack([2], names)
    detector = GroundingDetector(network, names, 1e-6, 4, SIDES)
    odd, both = detector.detect([view(50, 50), view(50, 50)], [[0, 1], [0, 1, 2]])
    assert odd == [] and {found.label for found in both} == {2}
    why = [detector.refuses(label) for label in (0, 1, 2)]
    assert (
        why[0] == why[1] == "not looked for: no prompt of 256 word pieces can hold the tag's name"
    )
    assert why[2] is None


def test_batch_size_and_order_change_nothing(network: Any) -> None:
    sizes = [(60, 80), (100, 50), (60, 80), (300, 40), (61, 80), (60, 80), (60, 80)]
    views = [view(*size, seed=n) for n, size in enumerate(sizes)]
    candidates = [[0, 1], [2], list(range(5, 65)), [3, 0], [1, 0], [3, 4, 5, 6], [7]]
    together = GroundingDetector(network, NAMES, 1e-3, 4, SIDES).detect(views, candidates)
    assert [{d.label for d in found} for found in together] == [set(some) for some in candidates]
    alone = GroundingDetector(network, NAMES, 1e-3, 1, SIDES).detect(views[::-1], candidates[::-1])
    assert together == alone[::-1]


def test_elsewhere_pictures_of_one_shape_are_computed_together() -> None:
    """Prompts of 6 to 16 pieces share a batch, since they are padded to 32."""
    batches: list[int] = []

    class Elsewhere:
        device = torch.device("meta")

        def __call__(
            self, pixels: torch.Tensor, texts: Sequence[str]
        ) -> tuple[torch.Tensor, torch.Tensor]:
            assert pixels.device == self.device and len(pixels) == len(texts)
            batches.append(len(texts))
            return torch.zeros(len(texts), 1, 256), torch.full((len(texts), 1, 4), 0.5)

    views = [view(60, 80), view(61, 80), view(100, 50), view(60, 80)]
    candidates = [[0], [3, 4, 5], [1], list(range(5, 65))]
    found = GroundingDetector(Elsewhere(), NAMES, 1e-3, 4, SIDES).detect(views, candidates)
    assert sorted(batches) == [1, 1, 2]
    assert [[d.label for d in one] for one in found] == candidates


def test_company_and_padding_change_no_more_than_last_digits(folder: Path) -> None:
    """What a batch on an accelerator relies on; of the other network's queries too many tie."""
    network = GroundingDino.open(folder)
    pictures = [cast(Image.Image, view(60, 80, n).picture()) for n in (0, 1)]
    pixels = torch.stack([prepare(picture, SIDES) for picture in pictures])
    texts = ["cat. cattle.", "who me. red car. thing 0."]
    with torch.inference_mode():
        together = network(pixels, texts)
        for row, text in enumerate(texts):
            alone = network(pixels[row, None], [text])
            with mock.patch.object(prompts, "PADDED", 1):
                bare = network(pixels[row, None], [text])
            pieces = int(tokenize([text])["attention_mask"].sum())
            for logits, boxes in (bare, tuple(part[row, None] for part in together)):
                assert torch.allclose(boxes, alone[1], atol=1e-5)
                apart = logits[0, :, :pieces] - alone[0][0, :, :pieces]
                assert apart.abs().max() < 1e-3 * alone[0][0, :, :pieces].abs().max()


def test_boxes_are_in_pixels_of_the_picture(network: Any) -> None:
    found = GroundingDetector(network, NAMES, 1e-3, 2, SIDES).detect([view(300, 40)], [[0, 2]])[0]
    boxes = np.array([d.box for d in found])
    assert (boxes >= 0).all()
    assert (boxes[:, [0, 2]] <= 300).all()
    assert (boxes[:, [1, 3]] <= 40).all()
    assert boxes[:, 2].max() > 40
    assert {d.prompt for d in found} == {"cat. dog."}


def test_odd_pictures_and_many_tags(network: Any) -> None:
    """No tags, 200 tags, one pixel, grey, a picture that is gone."""
    views = [
        view(50, 50), view(50, 50), view(1, 1),
        of_picture(lambda: Image.new("L", (70, 30), 128), (70, 30)),
        of_picture(lambda: None, (9, 9)),
    ]  # fmt: skip
    candidates = [[], list(range(5, 205)), [0], [1], [2]]
    found = GroundingDetector(network, NAMES, 1e-6, 4, SIDES).detect(views, candidates)
    assert found[0] == found[4] == []
    assert len({d.label for d in found[1]}) == 200
    assert len({d.prompt for d in found[1]}) > 1
    assert all(0 <= d.box[0] <= d.box[2] <= 1 for d in found[2])
    assert {d.label for d in found[3]} == {1}


class Told:
    """Answers with given logits: what scoring makes of them is tested, not a network."""

    device = torch.device("cpu")

    def __init__(self, logits: torch.Tensor, boxes: torch.Tensor) -> None:
        self.answer = logits[None], boxes[None]

    def __call__(
        self, pixels: torch.Tensor, texts: Sequence[str]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.answer


def test_a_tag_is_scored_over_its_own_pieces_only() -> None:
    (prompt,) = pack([0, 1], NAMES)  # "cat. cattle."
    logits = torch.full((2, 256), -9.0)
    logits[0, prompt.spans[1][0]] = 3.0  # the first box is cattle
    logits[1, prompt.spans[0][0]] = 2.0  # the second is a cat
    logits[0, prompt.spans[0][1]] = 9.0  # full stops say nothing
    boxes = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 1.0]])
    told = GroundingDetector(Told(logits, boxes), NAMES, 0.3, 1, SIDES)
    found = told.detect([view(100, 100)], [[0, 1]])[0]
    assert [(d.label, d.box) for d in found] == [(0, (50, 0, 100, 100)), (1, (0, 0, 50, 100))]
    assert found[0].score == pytest.approx(torch.tensor(2.0).sigmoid().item(), abs=1e-4)


def test_boxes_of_a_tag_that_overlap_are_thinned_but_not_those_of_another() -> None:
    (prompt,) = pack([0, 2], NAMES)
    logits = torch.full((3, 256), -9.0)
    for label in (0, 2):
        logits[:, prompt.spans[label][0]] = torch.tensor([1.0, 2.0, 0.5])
    boxes = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.51, 0.5, 0.5, 0.5], [0.1, 0.1, 0.1, 0.1]])
    told = GroundingDetector(Told(logits, boxes), NAMES, 0.3, 1, SIDES)
    found = told.detect([view(100, 100)], [[0, 2]])[0]
    assert [d.label for d in found] == [0, 0, 2, 2]
    assert found[0].box[0] == pytest.approx(26)
    assert GroundingDetector(Told(logits, boxes), NAMES, 0.7, 1, SIDES).detect(
        [view(100, 100)], [[0]]
    ) == [[Detection(0, found[0].box, found[0].score, "cat.")]]


def test_masked_bert_is_bert_and_sees_only_what_it_may() -> None:
    torch.manual_seed(0)
    whole = BertModel(
        BertConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    ).eval()
    ours = Bert(whole).eval()
    text = tokenize(["cat. dog."])
    ids = text["input_ids"]
    with torch.no_grad():
        plain = whole(**text).last_hidden_state
        torch.testing.assert_close(
            ours(ids, text["attention_mask"])["last_hidden_state"], plain, atol=1e-5, rtol=1e-5
        )
        blocks = torch.eye(ids.shape[1], dtype=torch.bool)[None].clone()
        blocks[0, 1:3, 1:3] = True  # "cat ."
        other = ids.clone()
        other[0, 3] += 1  # another word than "dog"
        one, two = (ours(row, blocks)["last_hidden_state"] for row in (ids, other))
    torch.testing.assert_close(one[0, 1:3], two[0, 1:3])
    assert not torch.allclose(one[0, 3], two[0, 3])


def test_settings_are_read_off_a_checkpoint(checkpoint: Path) -> None:
    weights = torch.load(checkpoint, weights_only=True)["model"]
    plain = {key.removeprefix("module."): value for key, value in weights.items()}
    found, bert = settings_of(plain)
    assert (found.enc_layers, found.dec_layers, found.num_queries) == (1, 2, 20)
    assert (found.backbone, found.hidden_dim) == ("swin_T_224_1k", 256)
    assert (bert.hidden_size, bert.num_hidden_layers, bert.vocab_size) == (64, 1, 30522)
    # The parts of BERT are named as in published files.
    assert {key.split(".")[1] for key in plain if key.startswith("bert.")} == {
        "embeddings", "encoder", "pooler"
    }  # fmt: skip


def test_what_is_no_checkpoint_is_told(tmp_path: Path, checkpoint: Path) -> None:
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"other\.pth: no Grounding-DINO"):
        GroundingDinoPackage.open(tmp_path / "other.pth")
    (tmp_path / "cut.pth").write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"cut\.pth: cannot be read"):
        GroundingDinoPackage.open(tmp_path / "cut.pth")
    content = torch.load(checkpoint, weights_only=True)
    content["model"].pop("module.feat_map.weight")
    torch.save(content, tmp_path / "less.pth")
    with pytest.raises(ModelError, match=r"1 missing \(feat_map\.weight\)"):
        GroundingDinoPackage.open(tmp_path / "less.pth")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=str(tmp_path)):
        GroundingDino.open(tmp_path)


def test_weights_that_are_missing_are_no_random_ones(tmp_path: Path) -> None:
    file = tiny_dino(tmp_path) / "model.safetensors"
    weights = load_file(file)
    del weights["model.text_projection.weight"]
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"missing .*: 1, such as model\.text_projection\.weight"):
        GroundingDino.open(tmp_path)


def test_pictures_are_scaled_as_published() -> None:
    assert prepare(Image.new("RGB", (400, 400)), (800, 1333)).shape == (3, 800, 800)
    height, width = prepare(Image.new("RGB", (4000, 400)), (800, 1333)).shape[1:]
    assert width <= 1333
    assert height % 32 == 0
    corners = to_pixels(torch.tensor([[0.5, 0.5, 2.0, 0.5]]), (200, 100))
    assert corners.tolist() == [[0, 25, 200, 75]]
