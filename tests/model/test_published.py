"""Published checkpoints load, and give what the published formulas give."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.errors import CheckpointError, ModelError
from model.losses import asymmetric_loss
from model.published import (
    PublishedLabels,
    load_converted,
    load_published,
    save_converted,
)
from model.published_layout import renamed, resized_table, shape_of
from model.ram import RAM_PLUS_SWIN_L, RAM_SWIN_L, TAG2TEXT_SWIN_B, RecognizeAnything
from model.word_pieces import bert_tokenizer
from tests.conftest import SHARED
from tests.model import published as np_ram
from tests.model.published import Tiny, arrays, save, weights_of

VARIANTS = ("ram", "ram_plus", "tag2text")
NAMES = tuple("abcdefg")


@pytest.fixture
def ram_layout() -> Path:
    """Keys and shapes of the published files; they lie beside the project, not in it."""
    folder = SHARED / "ram-layout"
    if not folder.is_dir():
        pytest.skip("the published layouts are not on this machine")
    return folder


def tiny_of(variant: Any) -> Tiny:
    return Tiny(variant=variant)


def load(tiny: Tiny, path: Path, **options: Any) -> RecognizeAnything:
    save(weights_of(tiny), path)
    return load_published(path, descriptions=tiny.descriptions, **options)


def pictures(tiny: Tiny, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, tiny.image, tiny.image, generator=torch.manual_seed(5))


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_those_of_the_published_formulas(variant: str, tmp_path: Path) -> None:
    tiny = tiny_of(variant)
    model, w = load(tiny, tmp_path / "a.pth"), arrays(weights_of(tiny))
    pixels = pictures(tiny)
    wanted = [
        np_ram.recognise(w, tiny, np_ram.image_tokens(w, tiny, image))
        for image in pixels.double().numpy()
    ]
    with torch.no_grad():
        found = model(pixels).numpy()
    assert np.std(wanted) > 0.1
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_other_labels_are_asked_through_their_queries(tmp_path: Path) -> None:
    tiny = Tiny()
    model, w = load(tiny, tmp_path / "a.pth"), arrays(weights_of(tiny))
    pixels, queries = pictures(tiny, 1), torch.randn(4, tiny.text_dim)
    tokens = np_ram.image_tokens(w, tiny, pixels[0].double().numpy())
    with torch.no_grad():
        found = model.logits(model.tokens(pixels), queries)[0]
    wanted = np_ram.recognise(w, tiny, tokens, queries.double().numpy())
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_fixed_classes_take_no_other_queries(tmp_path: Path) -> None:
    tiny = tiny_of("tag2text")
    model = load(tiny, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="own classes"):
        model.logits(model.tokens(pictures(tiny)), torch.zeros(2, 20))


@pytest.mark.parametrize("ending", (0.0, 4.0, 6.0))
@pytest.mark.parametrize("variant", ("ram", "tag2text"))
def test_captions_are_those_of_beam_search(variant: str, ending: float, tmp_path: Path) -> None:
    tiny = tiny_of(variant)
    weights = weights_of(tiny)
    weights["text_decoder.cls.predictions.bias"][102] += ending  # captions that end by themselves
    model, w = load_published(save(weights, tmp_path / "a.pth")), arrays(weights)
    assert model.captioner is not None
    pixels, tags = pictures(tiny), [["dog", "green grass"], ["a very long list of words", "sky"]]
    with torch.no_grad():
        found = model.captioner.pieces(model.tokens(pixels), tags, max_pieces=14, min_pieces=8)
    for row, image, names in zip(found.tolist(), pixels.double().numpy(), tags, strict=True):
        pieces = bert_tokenizer()(" | ".join(names)).input_ids
        padded = [30523, *pieces[1:], *[0] * (40 - len(pieces))]
        guided = np_ram.guide(w, tiny, np_ram.image_tokens(w, tiny, image), padded)
        start = [30522, *bert_tokenizer()("a picture of").input_ids[1:-1]]
        wanted = np_ram.beam_search(w, tiny, guided, start, 3, 8, 14)
        assert [piece for piece in row if piece] == wanted


@pytest.mark.parametrize(
    ("seed", "soft", "wrong", "lengths"), [(0, 0.6, 0.0, (14, 6)), (1, 0.4, 2.0, (6, 14))]
)
def test_beams_are_compared_by_their_mean(
    seed: int, soft: float, wrong: float, lengths: tuple[int, int], tmp_path: Path
) -> None:
    """Networks whose best caption is another where sums are not divided by the length to 1."""
    tiny = tiny_of("tag2text")
    weights = weights_of(tiny, seed)
    weights["text_decoder.cls.predictions.bias"][102] += 3
    for part in ("weight", "bias"):  # so that several pieces are likely
        weights[f"text_decoder.cls.predictions.transform.LayerNorm.{part}"] *= soft
    model, w = load_published(save(weights, tmp_path / "a.pth")), arrays(weights)
    pixels = pictures(tiny, 1)
    pieces = bert_tokenizer()("dog | green grass").input_ids
    padded = [30523, *pieces[1:], *[0] * (40 - len(pieces))]
    tokens = np_ram.image_tokens(w, tiny, pixels[0].double().numpy())
    guided = np_ram.guide(w, tiny, tokens, padded)
    start = [30522, *bert_tokenizer()("a picture of").input_ids[1:-1]]
    right, other = (
        np_ram.beam_search(w, tiny, guided, start, 3, 5, 14, power) for power in (1.0, wrong)
    )
    assert (len(right), len(other)) == lengths
    assert model.captioner is not None
    with torch.no_grad():
        found = model.captioner.pieces(
            model.tokens(pixels), [["dog", "green grass"]], max_pieces=14, min_pieces=5
        )
    assert [piece for piece in found[0].tolist() if piece] == right


def test_the_losses_are_those_of_the_published_formulas(tmp_path: Path) -> None:
    tiny = Tiny()
    model, w = load(tiny, tmp_path / "a.pth"), arrays(weights_of(tiny))
    pixels, targets = pictures(tiny), torch.tensor([[1, 0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0, 1]])
    captions, tags = ["a brown dog on the grass", "the sky"], [["dog"], ["sky", "cloud"]]
    teacher = torch.randn(2, tiny.text_dim)
    losses = model.losses(pixels, targets.float(), tags=tags, captions=captions, teacher=teacher)
    tag = distance = 0.0
    sums, count = 0.0, 0
    longest = max(len(bert_tokenizer()(c).input_ids) for c in captions)
    for n, image in enumerate(pixels.double().numpy()):
        tokens = np_ram.image_tokens(w, tiny, image)
        tag += np_ram.asl(np_ram.recognise(w, tiny, tokens), targets[n].double().numpy(), 7, 0.05)
        distance += float(np.abs(tokens[0] - teacher[n].double().numpy()).mean()) / 2
        pieces = bert_tokenizer()(" | ".join(tags[n])).input_ids
        padded = [30523, *pieces[1:], *[0] * (40 - len(pieces))]
        said = [30522, *bert_tokenizer()(captions[n]).input_ids[1:]]
        logs = np_ram.next_piece(w, tiny, np_ram.guide(w, tiny, tokens, padded), said)
        # targets 1, 2 and 3 of a caption are the prompt's places
        for place in range(4, min(len(said), longest)):
            row = logs[place - 1]
            sums -= 0.9 * row[said[place]] + 0.1 * row.mean()
            count += 1
    assert losses.caption is not None and losses.distillation is not None
    assert losses.tags.item() == pytest.approx(tag, rel=1e-5)
    assert losses.distillation.item() == pytest.approx(distance, rel=1e-5)
    assert losses.caption.item() == pytest.approx(sums / count, abs=1e-4)
    assert losses.total.item() == pytest.approx(2 * sums / count + distance, abs=1e-4)


def test_captions_are_aligned_with_images_in_ram_plus(tmp_path: Path) -> None:
    tiny = tiny_of("ram_plus")
    model, w = load(tiny, tmp_path / "a.pth"), arrays(weights_of(tiny))
    pixels, texts = pictures(tiny), torch.randn(2, tiny.text_dim)
    losses = model.losses(pixels, torch.zeros(2, tiny.labels), texts=texts)
    logits = np.stack([
        np_ram.recognise(w, tiny, np_ram.image_tokens(w, tiny, image), texts.double().numpy())
        for image in pixels.double().numpy()
    ])  # fmt: skip
    assert losses.alignment is not None
    assert losses.alignment.item() == pytest.approx(
        np_ram.asl(logits, np.eye(2), 4, 0.05), rel=1e-5
    )
    assert losses.total.item() == pytest.approx((losses.tags + losses.alignment).item())


def test_the_tag_loss_keeps_its_gradient_at_the_size_of_the_caption_loss(tmp_path: Path) -> None:
    tiny = Tiny()
    model = load(tiny, tmp_path / "a.pth")
    pixels, targets = pictures(tiny), torch.ones(2, tiny.labels)
    losses = model.losses(pixels, targets, tags=[["a"], ["b"]], captions=["a dog runs", "a cat"])
    losses.total.backward()
    both = model.decoder.fc.weight.grad
    assert both is not None and losses.caption is not None
    model.zero_grad()
    logits = model(pixels)
    asymmetric_loss(logits, targets, gamma_neg=7).backward()
    alone = model.decoder.fc.weight.grad
    assert alone is not None
    torch.testing.assert_close(both, alone * (losses.caption / losses.tags).item())


def test_folded_layers_are_the_same_function(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = load(Tiny(), tmp_path / "a.pth")
    pixels = pictures(Tiny(), 3)
    with torch.no_grad():
        plain = model(pixels)
        monkeypatch.setattr("model.decoder.WORTH_FOLDING", 0)
        monkeypatch.setattr("model.decoder.CPU_CHUNK", 3)
        torch.testing.assert_close(model(pixels), plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", (32, 96))
def test_windows_follow_another_image_size(size: int, tmp_path: Path) -> None:
    model = load(Tiny(), tmp_path / "a.pth", image_size=size)
    assert model.shape.swin.window == 4 * size // 64
    with torch.no_grad():
        assert model(torch.randn(1, 3, size, size)).shape == (1, 7)
    with pytest.raises(ModelError, match=f"images, 3, {size}, {size}"):
        model(torch.randn(1, 3, 64, 64))


def test_a_size_that_windows_do_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="image size 40"):
        load(Tiny(), tmp_path / "a.pth", image_size=40)


def test_a_smooth_table_is_interpolated_smoothly() -> None:
    def table(window: int, scale: float) -> torch.Tensor:
        side = torch.arange(1 - window, window) * scale
        return (side[:, None] ** 2 - 0.5 * side[None]).reshape(-1, 1)

    assert torch.equal(resized_table(table(4, 1.0), 4), table(4, 1.0))
    larger = resized_table(table(7, 1.0), 12).reshape(23, 23)
    assert larger.shape == (23, 23)
    # Near the middle distances are kept, which is the point of geometric places.
    torch.testing.assert_close(larger[11, 10:13], table(7, 1.0).reshape(13, 13)[6, 5:8])
    assert larger[0, 11] > larger[5, 11] > larger[11, 11]


def damaged(**changes: Any) -> dict[str, torch.Tensor]:
    weights = weights_of(Tiny())
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del weights[name]
        else:
            weights[name] = value
    return weights


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_proj__weight": None}, "missing weights, 1: image_proj.weight"),
        ({"label_embed": None}, "label_embed"),
        ({"nonsense__weight": torch.zeros(1)}, "unexpected keys, 1: nonsense.weight"),
        ({"fc__weight": torch.zeros(1, 9)}, r"decoder.fc.weight is \(1, 9\)"),
        ({"label_embed": torch.zeros(7, 20)}, "7 label queries are zero"),
    ],
)
def test_wrong_keys_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = save(damaged(**changes), tmp_path / "a.pth")
    with pytest.raises(ModelError, match=message):
        load_published(path)


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load_published(tmp_path / "none.pth")
    for odd in (b"", b"hello", b"<html>", gzip.compress(b"hello")):
        (tmp_path / "odd.pth").write_bytes(odd)
        with pytest.raises(
            CheckpointError, match=r"odd.pth: no checkpoint that loads safely"
        ) as no:
            load_published(tmp_path / "odd.pth")
        assert "mmap" not in str(no.value) and "trusted" not in str(no.value)
    torch.save({"model": {1: torch.zeros(2)}}, tmp_path / "numbers.pth")
    with pytest.raises(CheckpointError, match="holds no state of a model"):
        load_published(tmp_path / "numbers.pth")

    class Evil:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="loads safely"):
        load_published(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("key", "size"),
    [
        ("visual_encoder.layers.0.blocks.0.attn.relative_position_bias_table", (46, 2)),
        ("wordvec_proj.weight", (24,)),
        ("label_embed", ()),
    ],
)
def test_weights_of_no_such_network_are_told(
    key: str, size: tuple[int, ...], tmp_path: Path
) -> None:
    path = save(weights_of(Tiny()) | {key: torch.ones(size)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"a.pth: weights whose sizes fit no RAM"):
        load_published(path)


def test_the_format_of_before_archives_is_read(tmp_path: Path) -> None:
    weights = weights_of(Tiny())
    torch.save({"model": weights}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    pixels = pictures(Tiny())
    with torch.no_grad():
        expected = load(Tiny(), tmp_path / "a.pth")(pixels)
        assert torch.equal(load_published(tmp_path / "old.pth")(pixels), expected)


def test_the_other_prefix_of_the_decoder_is_known(tmp_path: Path) -> None:
    weights = {
        key.replace("tagging_head", "vision_multi"): value
        for key, value in weights_of(Tiny()).items()
    }
    renamed_model = load_published(save(weights, tmp_path / "b.pth"))
    pixels = pictures(Tiny())
    with torch.no_grad():
        assert torch.equal(renamed_model(pixels), load(Tiny(), tmp_path / "a.pth")(pixels))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_converted_checkpoint_is_the_same_network(variant: str, tmp_path: Path) -> None:
    tiny = tiny_of(variant)
    model = load(tiny, tmp_path / "a.pth", names=NAMES)
    labels = PublishedLabels(NAMES, tuple(0.1 * n for n in range(7)), "of a lake")
    folder = save_converted(model, labels, tmp_path / "models")
    again, found = load_converted(folder, NAMES)
    assert found == labels
    pixels = pictures(tiny)
    with torch.no_grad():
        assert torch.equal(again(pixels), model(pixels))
    assert (folder / "weights.safetensors").stat().st_size < 1.1 * sum(
        p.numel() * 4 for p in model.state_dict(keep_vars=True).values() if p is not None
    )
    if model.captioner is not None:
        tags = [["sky"], ["dog"]]
        assert again.captions(pixels, tags) == model.captions(pixels, tags)


def test_a_label_list_cannot_shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(Tiny(), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="7 labels, but the list has 6 names"):
        load_published(tmp_path / "a.pth", NAMES[:6])
    with pytest.raises(CheckpointError, match="6 names for 7 labels"):
        save_converted(model, PublishedLabels(NAMES[:6]), tmp_path / "models")
    folder = save_converted(model, PublishedLabels(NAMES), tmp_path / "models")
    with pytest.raises(CheckpointError, match="another label list"):
        load_converted(folder, (*NAMES[1:], NAMES[0]))
    (tmp_path / "latest").symlink_to(folder)
    monkeypatch.chdir(folder)
    for same in (tmp_path / "latest", Path(".")):
        assert load_converted(same)[1].names == NAMES
    content = json.loads((folder / "model.json").read_text())
    content["names"][0] = "changed"
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="it was changed"):
        load_converted(folder)


def test_shared_weights_that_differ_are_told(tmp_path: Path) -> None:
    weights = damaged(text_decoder__cls__predictions__decoder__bias=torch.zeros(30524))
    with pytest.warns(UserWarning, match="1 weights that are shared differ"):
        model = load_published(save(weights, tmp_path / "a.pth"))
    assert model.captioner is not None
    head: Any = model.captioner.text_decoder.cls.predictions
    assert head.decoder.bias is head.bias
    assert torch.equal(head.bias, weights["text_decoder.cls.predictions.bias"])


@pytest.mark.parametrize(
    ("file", "shape"),
    [
        ("keys_ram_swin_l_384.txt", RAM_SWIN_L),
        ("keys_ram_plus_swin_l_384.txt", RAM_PLUS_SWIN_L),
        ("keys_tag2text_swin_b_384.txt", TAG2TEXT_SWIN_B),
    ],
)
def test_every_published_key_has_its_place(file: str, shape: Any, ram_layout: Path) -> None:
    lines = (ram_layout / file).read_text().splitlines()
    weights = {}
    for line in lines:
        key, size, kind = line.split("\t")
        dims = [int(n) for n in size.strip("()").split(",") if n.strip()]
        weights[key] = torch.empty(dims, dtype=getattr(torch, kind[6:]), device="meta")
    read = shape_of(weights, 4, 12, 51)
    assert replace(read, dropout=shape.dropout) == shape
    with torch.device("meta"):
        own = RecognizeAnything(read).state_dict()
    found = {key: tuple(value.shape) for key, value in renamed(weights)}
    assert found == {key: tuple(value.shape) for key, value in own.items()}
