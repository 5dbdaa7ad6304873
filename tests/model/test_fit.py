"""The training loop: resumed, distributed, and stopped by what goes wrong."""

from __future__ import annotations

import math
import os
import resource
import socket
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.config import PRESETS, FitConfig
from model.errors import ModelError, TrainingError
from model.feed import Example, Order
from model.fit import STATE, fit, learning_rate
from model.images import load_image
from model.label_queries import FixedQueries
from model.pixels import Pixels
from model.published import PublishedLabels, save_converted
from model.ram import RamShape, RecognizeAnything
from model.start import start_network
from model.swin import SwinShape
from model.text_networks import TextShape

NAMES = ("red", "green", "blue")
COLOURS = ((220, 20, 20), (20, 200, 20), (30, 30, 230))
SHAPE = RamShape(
    "ram", SwinShape(32, 8, (2, 2), (2, 4), 4), labels=3, text_dim=12, hidden=24, feed_forward=32,
    text=TextShape(hidden=24, feed_forward=32, encoder_layers=2, decoder_layers=1, positions=64),
)  # fmt: skip
CONFIG = FitConfig(
    image_size=32, batch=2, accumulate=2, epochs=2, lr=1e-3, warmup_steps=2, save_every=2
)


def network(shape: RamShape = SHAPE) -> RecognizeAnything:
    torch.manual_seed(0)
    model = RecognizeAnything(shape)
    assert isinstance(model.queries, FixedQueries)
    model.queries.embedding.normal_()
    torch.nn.init.normal_(model.decoder.fc.weight, std=0.1)
    return model


def pictures(folder: Path, count: int = 13) -> list[Example]:
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(0)
    examples = []
    for number in range(count):
        tag = number % 3
        pixels = np.clip(np.array(COLOURS[tag]) + noise.normal(0, 20, (40, 50, 3)), 0, 255)
        path = folder / f"{number}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        said = (f"a {NAMES[tag]} wall in the sun", f"all is {NAMES[tag]}")
        examples.append(Example(str(path), (tag,), said, ((tag,), (tag,))))
    return examples


def same(one: RecognizeAnything, other: RecognizeAnything) -> bool:
    state = other.state_dict()
    return all(torch.equal(value, state[key]) for key, value in one.state_dict().items())


def test_a_captioner_of_the_start_is_not_left_out_in_silence(tmp_path: Path) -> None:
    queries = np.eye(3, 12, dtype=np.float32)
    for text in (SHAPE.text, None):
        init = save_converted(network(replace(SHAPE, text=text)), PublishedLabels(NAMES), tmp_path)
        for captions in (True, False):
            config = CONFIG.model_copy(update={"captions": captions})
            wrong = text is not None and not captions
            with pytest.raises(ModelError, match="captioner") if wrong else nullcontext():
                assert (start_network(config, queries, init).captioner is None) == (text is None)


class Killed(Exception):
    """Stands for a process that dies."""


def test_a_run_that_was_cut_off_ends_with_the_same_weights(tmp_path: Path) -> None:
    examples = pictures(tmp_path / "pictures")
    calm = network()
    whole = fit(calm, examples, NAMES, CONFIG, tmp_path / "calm")
    assert len(whole.loss) == 6  # 13 images, 4 a step, twice

    def die(done: int, total: int, figures: dict[str, float]) -> None:
        if done == 5:  # in the middle of the second epoch, a step after a save
            raise Killed

    with pytest.raises(Killed):
        fit(network(), examples, NAMES, CONFIG, tmp_path / "cut", progress=die)
    torch.manual_seed(999)  # another process has another state
    seen = []
    resumed = network()
    again = fit(
        resumed, examples, NAMES, CONFIG, tmp_path / "cut",
        progress=lambda done, total, figures: seen.append(done),
    )  # fmt: skip
    assert seen == [5, 6]
    assert again == whole
    assert same(resumed, calm)
    other = network()
    fit(other, examples, NAMES, CONFIG.model_copy(update={"seed": 1}), tmp_path / "other")
    assert not same(other, calm)


def losses_of(folder: Path, name: str, shape: RamShape = SHAPE, **settings: Any) -> list[float]:
    config = CONFIG.model_copy(update=settings)
    return fit(network(shape), pictures(folder / "pictures"), NAMES, config, folder / name).loss


def test_half_precision_keeps_the_losses_and_the_weights_whole(tmp_path: Path) -> None:
    kinds: list[torch.dtype] = []
    model = network()
    first: Any = model.encoder.network.encoder.layers[0].blocks[0].mlp
    first.register_forward_hook(lambda _, args, result: kinds.append(result.dtype))
    config = CONFIG.model_copy(update={"bf16": True})
    found = fit(model, pictures(tmp_path / "pictures"), NAMES, config, tmp_path / "half").loss
    np.testing.assert_allclose(found, losses_of(tmp_path, "whole"), rtol=2e-3)
    assert set(kinds) == {torch.bfloat16}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_checkpointing_computes_twice_and_changes_nothing(tmp_path: Path) -> None:
    calls = {"kept": 0, "again": 0}
    curves = {}
    for name in calls:
        model = network()  # with dropout, which must fall on the same numbers both times
        deep: Any = model.encoder.network.encoder.layers[0].blocks[0].mlp

        def count(*_: Any, name: str = name) -> None:
            calls[name] += 1

        deep.register_forward_hook(count)
        config = CONFIG.model_copy(update={"gradient_checkpointing": name == "again"})
        curves[name] = fit(
            model, pictures(tmp_path / "pictures"), NAMES, config, tmp_path / name
        ).loss
    np.testing.assert_allclose(curves["again"], curves["kept"], rtol=0, atol=1e-6)
    assert calls["again"] == 2 * calls["kept"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_network_has_the_same_losses(tmp_path: Path) -> None:
    calm = replace(SHAPE, dropout=0.0, swin=replace(SHAPE.swin, drop_path=0.0))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    found = losses_of(tmp_path, "compiled", calm, compile=True)
    np.testing.assert_allclose(found, losses_of(tmp_path, "plain", calm), rtol=0, atol=1e-4)
    # Other captions are no reason to compile anew.
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 8


def test_in_training_everything_drops_as_published() -> None:
    model = network()
    assert model.captioner is not None
    shared: Any = model.decoder.layers[0]
    own: Any = model.captioner.text_decoder.bert.encoder.layer[0].attention
    assert (shared.dropout.p, shared.attention_dropout) == (0.1, 0.1)
    assert (own.output.dropout.p, own.self.dropout.p) == (0.1, 0.1)
    layer: Any = model.decoder.layers[0]
    layer.dropout.p = 0.0  # what is left to drop are the attention's weights
    labels, tokens = torch.randn(1, 3, 24), torch.randn(2, 5, 12)
    with torch.no_grad():
        assert not torch.equal(layer.train()(labels, tokens), layer(labels, tokens))
        assert torch.equal(layer.eval()(labels, tokens), layer(labels, tokens))


def test_it_learns(tmp_path: Path) -> None:
    examples = pictures(tmp_path / "pictures", 24)
    model = network(replace(SHAPE, text=None, dropout=0.0))
    config = FitConfig(
        image_size=32, batch=8, epochs=30, lr=3e-3, warmup_steps=5, schedule="cosine"
    )
    curve = fit(model, examples, NAMES, config, tmp_path / "run")
    assert np.mean(curve.loss[-3:]) < 0.6 * np.mean(curve.loss[:3])
    look = Pixels(32)
    pixels = torch.stack([look.inference(Image.open(e.path).convert("RGB")) for e in examples])
    with torch.no_grad():
        best = model(pixels).argmax(dim=1)
    right = [int(tag) in example.tags for tag, example in zip(best, examples, strict=True)]
    assert np.mean(right) > 0.9


def _one_of_two(rank: int, port: int, folder: str) -> None:
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    torch.set_num_threads(1)
    examples = pictures(Path(folder) / f"pictures{rank}")
    model = network()
    config = CONFIG.model_copy(update={"accumulate": 1})
    curve = fit(model, examples, NAMES, config, Path(folder) / "two")
    if rank == 0:
        torch.save(curve.loss, Path(folder) / "result.pt")


@pytest.mark.slow
def test_two_processes_are_one_that_accumulates(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_one_of_two, (port, str(tmp_path)), nprocs=2)
    losses = torch.load(tmp_path / "result.pt", weights_only=True)
    alone = network()
    curve = fit(alone, pictures(tmp_path / "pictures"), NAMES, CONFIG, tmp_path / "one")
    np.testing.assert_allclose(losses, curve.loss, rtol=0, atol=1e-5)


def saved_step(folder: Path) -> int:
    return int(torch.load(folder / STATE, weights_only=True)["step"])


def test_a_picture_that_is_gone_is_named_and_the_state_is_kept(tmp_path: Path) -> None:
    examples = pictures(tmp_path / "pictures")
    gone: list[str] = []

    def remove(done: int, total: int, figures: dict[str, float]) -> None:
        if done == 3:
            for example in examples:
                Path(example.path).unlink()
                gone.append(example.path)

    with pytest.raises(TrainingError, match=r"cannot be read .*bring it back") as error:
        fit(network(), examples, NAMES, CONFIG, tmp_path / "run", progress=remove)
    assert any(path in str(error.value) for path in gone)
    assert saved_step(tmp_path / "run") == 2


def test_a_loss_that_is_no_number_stops_before_it_harms(tmp_path: Path) -> None:
    examples, model = pictures(tmp_path / "pictures"), network()

    def poison(done: int, total: int, figures: dict[str, float]) -> None:
        if done == 3:
            with torch.no_grad():
                model.decoder.fc.bias.fill_(math.nan)

    with pytest.raises(TrainingError, match=r"loss of step 4 is nan; its images: .*png"):
        fit(model, examples, NAMES, CONFIG, tmp_path / "run", progress=poison)
    state = torch.load(tmp_path / "run" / STATE, weights_only=True)
    assert state["step"] == 2
    assert all(bool(value.isfinite().all()) for value in state["model"].values())


def test_a_full_disk_leaves_the_state_before(tmp_path: Path) -> None:
    examples = pictures(tmp_path / "pictures")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(done: int, total: int, figures: dict[str, float]) -> None:
        if done == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))

    try:
        with pytest.raises(TrainingError, match="step 4 could not be saved"):
            fit(network(), examples, NAMES, CONFIG, tmp_path / "run", progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert saved_step(tmp_path / "run") == 2
    assert [path.name for path in (tmp_path / "run").iterdir()] == [STATE]


@pytest.mark.parametrize("kept", [0.0, 0.5, None])
def test_a_damaged_state_is_told(kept: float | None, tmp_path: Path) -> None:
    examples, state = pictures(tmp_path / "pictures"), tmp_path / "run" / "training.pt"
    state.parent.mkdir()
    torch.save({"settings": {}} if kept is not None else [1], state)
    if kept is not None:
        state.write_bytes(state.read_bytes()[: int(kept * state.stat().st_size)])
    with pytest.raises(TrainingError, match=r"training.pt: the state to go on from is damaged"):
        fit(network(), examples, NAMES, CONFIG, tmp_path / "run")


def test_other_settings_do_not_go_on_with_a_state(tmp_path: Path) -> None:
    examples = pictures(tmp_path / "pictures")
    fit(network(), examples, NAMES, CONFIG, tmp_path / "run")
    with pytest.raises(TrainingError, match="other settings: lr"):
        fit(network(), examples, NAMES, CONFIG.model_copy(update={"lr": 1.0}), tmp_path / "run")
    with pytest.raises(TrainingError, match="3 images; a step needs 4"):
        fit(network(), examples[:3], NAMES, CONFIG, tmp_path / "few")


def test_a_state_of_other_data_or_another_start_is_refused(tmp_path: Path) -> None:
    examples = [replace(e, image=f"image {n}") for n, e in enumerate(pictures(tmp_path / "there"))]
    fit(network(), examples, NAMES, CONFIG, tmp_path / "run")
    moved = [replace(e, path=f"moved/{e.path}") for e in examples]
    fit(network(), moved, NAMES, CONFIG, tmp_path / "run")  # the run is complete: nothing is read
    for change in ({"tags": (2,)}, {"captions": ("all is red", "red")}, {"image": "another"}):
        others = [replace(examples[0], **change), *examples[1:]]
        with pytest.raises(TrainingError, match="other settings: examples;"):
            fit(network(), others, NAMES, CONFIG, tmp_path / "run")
    with pytest.raises(TrainingError, match="other settings: init;"):
        fit(network(), examples, NAMES, CONFIG, tmp_path / "run", init="0123456789abcdef")
    with pytest.raises(TrainingError, match="other settings: query width, teacher;"):
        fit(
            network(replace(SHAPE, text_dim=16)), examples, NAMES, CONFIG, tmp_path / "run",
            teacher=lambda pixels: torch.zeros(len(pixels), 16),
        )  # fmt: skip


@given(
    images=st.integers(8, 60),
    batch=st.integers(1, 3),
    parts=st.sampled_from([(1, 4), (2, 2), (4, 1)]),
    seed=st.integers(0, 5),
    start=st.integers(0, 3),
)
def test_the_order_does_not_depend_on_processes_or_where_one_starts(
    images: int, batch: int, parts: tuple[int, int], seed: int, start: int
) -> None:
    accumulate, processes = parts
    one = Order(images, batch, 4, 1, seed)
    if not one.steps_per_epoch:
        return
    stop = start + 2
    alone = list(one.passes(0, 0, stop))[4 * start :]
    split = Order(images, batch, accumulate, processes, seed)
    ranks = [list(split.passes(rank, start, stop)) for rank in range(processes)]
    together = [part for k in range(len(ranks[0])) for part in (rank[k] for rank in ranks)]
    assert together == alone
    epoch = [i for part in one.passes(0, 0, one.steps_per_epoch) for i, _ in part]
    assert len(set(epoch)) == len(epoch) == one.steps_per_epoch * one.per_step


def test_rates_are_those_of_the_papers() -> None:
    published = PRESETS["swin_l_14m"]
    assert learning_rate(published, 0, 5000) == 5e-7
    assert learning_rate(published, 1500, 5000) == pytest.approx((5e-7 + 1e-4) / 2)
    assert learning_rate(published, 3000, 5000) == 1e-4
    assert learning_rate(published, 12_000, 5000) == pytest.approx(0.81e-4)
    tuned = PRESETS["finetune"]
    assert learning_rate(tuned, 0, 10) == 5e-6
    assert learning_rate(tuned, 10, 10) == pytest.approx(2.5e-6)


def test_a_jpeg_decoded_small_is_the_picture(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 1600).astype(np.uint8)
    Image.fromarray(np.stack([np.tile(ramp, (1200, 1))] * 3, axis=-1)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    small = load_image(data, 224)
    assert small.size == (800, 600)
    look: Any = Pixels(224)
    whole = look.inference(Image.open(tmp_path / "a.jpg").convert("RGB"))
    assert (look.inference(small) - whole).abs().max() < 0.05


def test_augmentation_depends_on_its_seed_alone() -> None:
    picture = Image.effect_noise((80, 60), 50).convert("RGB")
    look = Pixels(32)
    torch.manual_seed(1)
    first = look.augmented(picture, 7)
    before = torch.random.get_rng_state()
    assert torch.equal(look.augmented(picture, 7), first)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(look.augmented(picture, 8), first)
