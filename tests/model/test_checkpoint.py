"""Checkpoints come back as they were saved, and altered or unfitting ones are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.captioner import Captioner
from model.checkpoint import CheckpointInfo, load_captioner, load_tagger, save_checkpoint
from model.errors import CheckpointError
from model.tagger import Tagger
from model.train import train_tagger
from tests.model.helpers import SMALL, queries, scenes

INFO = CheckpointInfo(
    role="baseline", fold=0, label_version="v1", tag_ids=(3, 7, 9), tag_names=("dog", "cat", "run"),
    tag_kinds=("object", "object", "action"), encoder="abc", seed=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    features, targets = scenes(16, 3)
    return train_tagger(features, targets, queries(3), SMALL)


def test_tagger_comes_back_to_the_bit(tagger: Tagger, tmp_path: Path) -> None:
    digest = save_checkpoint(tagger, INFO, tmp_path)
    loaded, info = load_tagger(tmp_path / digest, "abc")
    features, _ = scenes(4, 3, seed=1)
    assert info == INFO
    assert np.array_equal(loaded.score(features), tagger.score(features))
    assert [p.name for p in tmp_path.iterdir()] == [digest]  # nothing half-written is left


def test_same_content_same_digest_other_content_other_digest(
    tagger: Tagger, tmp_path: Path
) -> None:
    first = save_checkpoint(tagger, INFO, tmp_path / "a")
    assert save_checkpoint(tagger, INFO, tmp_path / "b") == first
    assert save_checkpoint(tagger, INFO, tmp_path / "a") == first
    assert save_checkpoint(tagger, replace(INFO, seed=6), tmp_path / "a") != first


def test_captioner_comes_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pieces = ("[PAD]", "[DEC]", "[SEP]", "a", "dog")
    built = Captioner(4, torch.from_numpy(queries(3)), pieces, 8, 1, 2, 0.0, 10)
    loaded, _ = load_captioner(tmp_path / save_checkpoint(built, INFO, tmp_path))
    assert loaded.pieces == pieces
    state = loaded.state_dict()
    assert all(torch.equal(state[name], value) for name, value in built.state_dict().items())


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json"])
def test_a_changed_byte_is_noticed(tagger: Tagger, tmp_path: Path, name: str) -> None:
    folder = tmp_path / save_checkpoint(tagger, INFO, tmp_path)
    data = bytearray((folder / name).read_bytes())
    data[-10] ^= 1
    (folder / name).write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=r"changed|no readable"):
        load_tagger(folder)


def test_missing_file_other_encoder_other_kind(tagger: Tagger, tmp_path: Path) -> None:
    folder = tmp_path / save_checkpoint(tagger, INFO, tmp_path)
    with pytest.raises(CheckpointError, match=r"encoder abc, not xyz"):
        load_tagger(folder, "xyz")
    with pytest.raises(CheckpointError, match=r"holds a tagger, not a captioner"):
        load_captioner(folder)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no readable checkpoint"):
        load_tagger(folder)


def test_weights_of_another_network_are_refused(tagger: Tagger, tmp_path: Path) -> None:
    tagger.shape["layers"] = 3  # as a version would say whose decoder has another depth
    folder = tmp_path / save_checkpoint(tagger, INFO, tmp_path)
    with pytest.raises(CheckpointError, match="another network than this version's; train it anew"):
        load_tagger(folder)


def test_silent_queries_and_wrong_counts_are_refused(tagger: Tagger, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="3 label queries for 2 labels"):
        save_checkpoint(tagger, replace(INFO, tag_ids=(3, 7)), tmp_path)
    rows = queries(3)
    rows[1] = 0
    silent = Tagger(24, torch.from_numpy(rows), 16, 2, 2, 0.0, 0.0)
    with pytest.raises(CheckpointError, match="cat"):
        save_checkpoint(silent, INFO, tmp_path)
