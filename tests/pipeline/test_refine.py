"""Judges learn on from what held-out scores vouch for, and still not from what they judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.tagger import Floats, Halves, Tagger
from pipeline.demo import demo_config
from pipeline.models import load_captioners, load_taggers
from pipeline.refine import Refine, RefineAgain
from pipeline.stage import Batch, Context
from pipeline.vouched import vouched
from storage.lake import Lake
from tests.pipeline.test_noise import judged


def test_tags_are_vouched_for_by_how_likely_they_are_right() -> None:
    scores, carried, right = judged(3, 0.1)
    # Captions leave out a third of what is there.
    said = carried * (np.random.default_rng(1).random(carried.shape) < 0.67)
    nothing = np.zeros_like(scores)
    targets, known = vouched(scores, said.astype(np.float32), nothing)
    told, wrong = said > 0, (said > 0) & ~right
    assert (targets[told] == 1).all()
    assert known[wrong].mean() < 0.4 < 0.9 < known[told & right].mean()
    assert (known[wrong] == 0).mean() > 0.4
    assert (known[told & right] == 0).mean() < 0.03
    missing = ~told & right
    added = (targets > 0) & ~told
    assert (added & right).sum() / added.sum() > 0.8
    assert (targets[missing] > 0).mean() > 0.5
    unknown = (known == 0) & ~told
    assert unknown.any() and not (unknown & added).any()
    # What is half seen is there more often than what is not seen at all.
    assert right[unknown].mean() > 2 * right[~told & ~added & ~unknown].mean()
    assert set(np.unique(known[~told])) == {0, 1}


def test_a_tag_of_few_images_counts_as_it_is_said() -> None:
    scores, carried, _ = judged(3, 0.1)
    carried[7:, 0] = 0
    targets, known = vouched(scores, carried, np.zeros_like(scores))
    few = carried[:, 0] > 0
    assert (targets[few, 0] == 1).all() and (known[few, 0] == 1).all()


def test_what_a_caption_leaves_open_is_no_absent_tag() -> None:
    scores, carried, _ = judged(3, 0.1)
    # A third of the first tag's images say "guy" instead, which leaves it open.
    other = (carried[:, 0] > 0) & (np.arange(len(carried)) % 3 == 0)
    said, unsettled = carried.copy(), np.zeros_like(carried)
    said[other, 0], unsettled[other, 0] = 0, 1
    unsettled[carried[:, 1] > 0, 1] = 1  # of what is said nothing is open
    targets, known = vouched(scores, said, unsettled)
    without = vouched(scores, said, np.zeros_like(carried))
    assert set(np.unique(known[other, 0])) == {0, 1}
    assert (targets[other, 0] == 1)[known[other, 0] > 0].all()
    assert targets[other, 0].mean() > without[0][other, 0].mean()
    assert (known[other, 0] * (1 - targets[other, 0])).sum() == 0
    assert np.mean((known[:, 1] > 0) != (without[1][:, 1] > 0)) < 0.01


@pytest.mark.parametrize(
    ("kind", "unit", "role", "start"),
    [
        (Refine, "fold 1", "refined", "first"),
        (RefineAgain, "fold 1", "fold", "refined"),
        (RefineAgain, "captioner 1", "captioner", "refined"),
    ],
)
def test_what_captions_say_of_a_fold_does_not_reach_its_models(
    demo: Path, tmp_path: Path, kind: type[Refine], unit: str, role: str, start: str
) -> None:
    config = demo_config(24, 0)
    with Lake.open(demo / "lake", read_only=True) as lake:
        stage = kind(config, 1)
        tables = {name: lake.query(sql) for name, sql in stage.inputs.items()}
        keys = lake.query("SELECT image_id, fold_key FROM current_images WHERE split = 'train'")
        digests = lake.query("SELECT fold, role, model_digest FROM current_models").to_pylist()
        of = {(row["role"], row["fold"]): row["model_digest"] for row in digests}
        (tmp_path / "models").symlink_to(lake.path / "models")
        context = Context(tmp_path, config, 1, lake.query, lake.batches)
        fold_of = {row["image_id"]: row["fold_key"] % 3 for row in keys.to_pylist()}
        found = {}
        for silent in (1, 2):  # the fold whose captions are forgotten
            changed = dict(tables)
            for name in {"tags", "captions"} & {*tables}:
                said = [fold_of.get(i) != silent for i in tables[name]["image_id"].to_pylist()]
                changed[name] = tables[name].filter(np.array(said))
            result = stage.run(Batch((unit,), changed), context)
            (found[silent],) = result.rows["models"].to_pylist()
    assert found[1]["model_digest"] == of[role, 1]
    assert found[2]["model_digest"] != of[role, 1]
    assert (found[1]["role"], found[1]["parent"]) == (role, of[start, 1])


@pytest.mark.parametrize(
    ("kind", "unit", "expected"),
    [
        (Refine, "fold 0", {"judges": 1, "refine": 1}),
        (Refine, "fold 2", {"judges": 2, "refine": 2}),
        (RefineAgain, "fold 2", {"judges": 1, "refine-again": 1}),
        (RefineAgain, "captioner 2", {"captioner": 1}),
    ],
)
def test_what_nothing_runs_beside_has_two_threads(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Refine], unit: str,
    expected: dict[str, int],
) -> None:  # fmt: skip
    """By what torch is set to while they train."""
    seen: dict[str, int] = {}

    def watch(done: int, total: int, words: str) -> None:
        seen[words.split(" without ")[0]] = torch.get_num_threads()

    scored = Tagger.score

    def score(tagger: Tagger, features: Halves) -> Floats:
        seen["judges"] = torch.get_num_threads()
        return scored(tagger, features)

    monkeypatch.setattr(Tagger, "score", score)
    before = torch.get_num_threads()
    with Lake.open(demo / "lake", read_only=True) as lake:
        stage = kind(demo_config(24, 0), 1)
        tables = {name: lake.query(sql) for name, sql in stage.inputs.items()}
        (tmp_path / "models").symlink_to(lake.path / "models")
        context = Context(tmp_path, stage.config, 1, lake.query, lake.batches, watch)
        try:
            stage.run(Batch((unit,), tables), context)
        finally:
            torch.set_num_threads(before)
    assert seen == expected


def test_judges_do_not_wait_for_captioners() -> None:
    parts = RefineAgain(demo_config(24, 0), 1).parts
    assert parts == tuple(f"{kind} {fold}" for kind in ("fold", "captioner") for fold in range(3))


def test_a_captioner_looks_through_the_blocks_that_it_was_trained_with(demo: Path) -> None:
    with Lake.open(demo / "lake", read_only=True) as lake:
        context = Context(lake.path, demo_config(24, 0), 1, lake.query, lake.batches)
        taggers = {role: load_taggers(context, role) for role in ("refined", "fold")}
        captioners = load_captioners(context)
    assert set(captioners) == {0, 1, 2}
    some = np.random.default_rng(0).random((2, 784, 80)).astype(np.float16)
    for fold, captioner in captioners.items():
        maps = captioner.tagger.maps(some)
        assert np.array_equal(maps, taggers["refined"][fold].tagger.maps(some))
        assert not np.array_equal(maps, taggers["fold"][fold].tagger.maps(some))
