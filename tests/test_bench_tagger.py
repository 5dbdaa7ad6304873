"""`bench tagger`: its figures add up on a small planted set, and its interval is Student's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import tagger
from bench.generation import held_out_regression
from bench.peers import label_issues
from bench.tagger import Split, run
from model.config import TrainConfig
from model.encoder import ENCODERS
from model.last_blocks import LastBlocks
from pipeline.config import Config, load_config
from pipeline.dataset import Images


class Plain:
    """Of an encoder what training asks for; without last blocks, so that features are maps."""

    name, digest = "plain", "p"

    def last_blocks(self) -> LastBlocks:
        return LastBlocks([])


def planted(images: int, labels: int, seed: int) -> tuple[Split, Config]:
    """Label k lights channel k; queries come in pairs of labels that appear together."""
    rng = np.random.default_rng(seed)
    pairs = np.repeat(np.arange(labels // 2), 2)
    targets = ((rng.random((2 * images, labels // 2)) < 0.3)[:, pairs]).astype(np.float32)
    targets *= rng.random(targets.shape) < 0.9
    features = rng.random((2 * images, 4, 32))
    features[:, :, :labels] += targets[:, None, :]
    queries = np.eye(labels // 2, 16)[pairs] + 0.1 * rng.normal(size=(labels, 16))
    half = features.astype(np.float16)
    split = Split(
        half[:images], targets[:images], np.arange(images), half[images:], targets[images:],
        queries.astype(np.float32), ("object",) * labels,
    )  # fmt: skip
    small = TrainConfig(hidden=16, heads=2, readout_epochs=8, readout_lr=5e-3, epochs=1)
    config = load_config(None, [])
    return split, config.model_copy(
        update={
            "baseline": config.baseline.model_copy(update={"tagger": small}),
            "encode": config.encode.model_copy(update={"encoder": "plain"}),
        }
    )


def test_ours_and_the_peers_on_a_small_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        tagger, "planted", lambda seeds, out: (planted(120, 20, seed) for seed in seeds)
    )
    monkeypatch.setitem(ENCODERS, "plain", lambda threads: Plain())
    tables = run(None, (0, 1), tmp_path)["tables"]
    assert len(tables) == 4
    for row in tables["planted scenes: mAP"]:
        assert row["ours"] > 0.7 > row["chance"] == row["tag frequency"]
        assert row["logistic regression"] > 0.5
    for row in tables["planted scenes: unseen tags"]:
        assert row["tags"] == 4
        assert row["ours"] > row["chance"] + 0.2
        assert row["ours, AUC"] > 0.6
    first, second = (row["ours"] for row in tables["planted scenes: mAP"])
    ours, *_, paired = tables["planted scenes: over seeds"]
    assert ours["mean"] == pytest.approx((first + second) / 2)
    # Student's factor for two values is 12.71, their standard error half their distance.
    assert ours["high"] - ours["mean"] == pytest.approx(12.706 * abs(first - second) / 2, rel=1e-3)
    assert paired["method"] == "ours less logistic regression"


def test_tags_with_few_positives_are_not_judged() -> None:
    split, _ = planted(120, 20, 0)
    split.targets[4:, 3] = 0
    split.targets[:4, 3] = 1
    split.truth[2:, 5] = 0
    split.truth[:2, 5] = 1
    assert np.flatnonzero(~split.judged).tolist() == [3, 5]


def test_a_tag_on_every_picture_tells_nothing_apart_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ENCODERS, "plain", lambda threads: Plain())
    split, config = planted(120, 20, 0)
    split.truth[:] = 1
    row, unseen = tagger._compare(split, config, 0)
    assert row["ours"] == 1 and unseen["tags"] == 4
    assert unseen["ours, AUC"] is None and unseen["nearest trained tag, AUC"] is None
    split.truth[:] = 0
    split.truth[:4, 0] = 1
    assert tagger._compare(split, config, 5)[1]["ours"] is None
    rows = [{"ours": None, "peer": None}, {"ours": 0.5, "peer": 0.25}]
    ours, _, paired = tagger._summary(rows, ("ours", "peer"), "peer")
    assert ours["mean"] == 0.5 and paired["mean"] == 0.25
    assert tagger._summary(rows[:1], ("ours", "peer"), "peer")[0]["median"] is None


def test_peers_leave_alone_what_is_on_every_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "plain", lambda threads: Plain())
    rng = np.random.default_rng(0)
    given = (rng.random((90, 3)) < 0.5).astype(np.float32)
    given[:, 1] = 1
    maps = rng.random((90, 4, 8)).astype(np.float16)
    maps[:, :, 0] += given[:, :1]
    images = Images([f"i{n}" for n in range(90)], np.arange(90), maps)
    scores = held_out_regression(images, "plain", given, 3)
    assert not scores[:, 1].any() and scores[:, 0].any() and scores[:, 2].any()
    pytest.importorskip("cleanlab", reason="the bench extra is not installed")
    issues, quality = label_issues(given, np.clip(scores, 0.01, 0.99))
    assert not issues[:, 1].any() and np.isnan(quality[:, 1]).all()
    assert np.isfinite(quality[:, ::2]).all()
