"""What a publication gives to the training of RAM."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from model.config import FitConfig
from model.errors import TrainingError
from model.feed import Example
from model.fit import fit
from model.published import PublishedLabels, save_converted
from model.ram import RamShape, RecognizeAnything
from model.start import start_network
from model.swin import SwinShape
from model.text import TextEncoder
from pipeline.errors import PlanError
from pipeline.readers import read_uri
from pipeline.training import PublishedSet, plain, published_set, train
from storage.lake import Lake


def test_the_feed_is_the_publication(demo: Path) -> None:
    data = published_set(demo / "lake")
    with Lake.open(demo / "lake", read_only=True) as lake:
        tags = lake.query(
            "SELECT i.uri, t.name FROM tags t JOIN current_images i USING (image_id) "
            "WHERE t.split = 'train'"
        ).to_pylist()
        images = lake.scalar("SELECT count(*) FROM current_images WHERE split = 'train'")
    assert len(data.examples) == images
    found = {(example.path, data.names[tag]) for example in data.examples for tag in example.tags}
    assert found == {(row["uri"], row["name"]) for row in tags} and found
    for example in data.examples:
        assert len(example.captions) == len(example.caption_tags)
        assert all(set(own) <= set(example.tags) for own in example.caption_tags)


def test_ram_trains_on_a_publication(demo: Path, tmp_path: Path) -> None:
    data = published_set(demo / "lake")
    shape = RamShape(
        "ram", SwinShape(32, 8, (2, 2), (2, 4), 4), labels=len(data.names), text_dim=384, hidden=24,
        feed_forward=32, dropout=0.0,
    )  # fmt: skip
    model = RecognizeAnything(shape)
    model.set_queries(torch.from_numpy(TextEncoder().label_queries(data.names)))
    config = FitConfig(image_size=32, batch=8, epochs=40, lr=5e-4, warmup_steps=5)
    curve = fit(model, data.examples, data.names, config, tmp_path / "run", read=read_uri)
    assert len(curve.loss) == 40 * (len(data.examples) // 8)
    # It starts with every tag at one half and learns at least how rare tags are.
    assert sum(curve.loss[-9:]) < 0.95 * sum(curve.loss[:9])


def test_another_publication_or_checkpoint_is_not_a_run_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = RamShape(
        "ram", SwinShape(32, 8, (2, 2), (2, 4), 4), labels=2, text_dim=384, hidden=24,
        feed_forward=32,
    )  # fmt: skip
    labels, starts = PublishedLabels(("dog", "cat")), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = RecognizeAnything(shape)
        model.set_queries(torch.from_numpy(TextEncoder().label_queries(labels.names)))
        starts.append(save_converted(model, labels, tmp_path / "starts"))
    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")

    def trained(init: Path, publication: str, tag: int) -> Path | None:
        examples = [Example(str(tmp_path / "red.png"), (tag,), image="red")]
        data = PublishedSet(publication, labels.names, examples)
        monkeypatch.setattr("pipeline.training.published_set", lambda lake: data)
        config = FitConfig(image_size=32, batch=1, epochs=1)
        return train(tmp_path / "lake", config, tmp_path / "run", init=init)

    assert trained(starts[0], "first", 0) is not None
    assert trained(starts[0], "of the same rows", 0) is not None
    with pytest.raises(TrainingError, match="other settings: examples;"):
        trained(starts[0], "second", 1)
    with pytest.raises(TrainingError, match="other settings: init;"):
        trained(starts[1], "first", 0)


def test_nothing_published_is_said(tmp_path: Path) -> None:
    Lake.create(tmp_path / "lake").close()
    with pytest.raises(PlanError, match="nothing is published yet"):
        published_set(tmp_path / "lake")


@pytest.mark.slow
def test_the_start_is_the_paper_s_network() -> None:
    queries = TextEncoder().label_queries(["dog", "cat"])
    config = FitConfig(encoder="swin_b", captions=False)
    model = start_network(config, queries, None)
    assert model.shape.swin.window == 7 and model.shape.swin.image_size == 224
    assert model.shape.labels == 2 and model.captioner is None
    again = start_network(config, queries, None)
    assert all(
        bool((a == b).all()) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )


def test_captions_are_those_that_ram_reads() -> None:
    assert plain('A "Big" dog: (brown), runs; fast!') == "a big dog brown , runs fast"
    assert plain("word " * 50).split() == ["word"] * 30
