"""Judges learn on from what held-out scores vouch for, and still not from what they judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.demo import demo_config
from pipeline.refine import Refine
from pipeline.stage import Batch, Context
from pipeline.vouched import vouched
from storage.lake import Lake
from tests.pipeline.test_rules import judged


def test_tags_are_vouched_for_by_how_likely_they_are_right() -> None:
    scores, carried, right = judged(3, 0.1)
    # Captions leave out a third of what is there.
    said = carried * (np.random.default_rng(1).random(carried.shape) < 0.67)
    targets, known = vouched(scores, said.astype(np.float32))
    told, wrong = said > 0, (said > 0) & ~right
    assert (targets[told] == 1).all()
    assert known[wrong].mean() < 0.4 < 0.9 < known[told & right].mean()
    assert (known[wrong] == 0).mean() > 0.5
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
    targets, known = vouched(scores, carried)
    few = carried[:, 0] > 0
    assert (targets[few, 0] == 1).all() and (known[few, 0] == 1).all()


def test_what_captions_say_of_a_fold_does_not_reach_its_judge(demo: Path, tmp_path: Path) -> None:
    config = demo_config(24, 0)
    with Lake.open(demo / "lake", read_only=True) as lake:
        stage = Refine(config, 1)
        tables = {name: lake.query(sql) for name, sql in stage.inputs.items()}
        keys = lake.query("SELECT image_id, fold_key FROM current_images WHERE split = 'train'")
        digests = lake.query(
            "SELECT fold, role, model_digest, parent FROM current_models "
            "WHERE role IN ('first', 'fold', 'captioner')"
        ).to_pylist()
        of = {(row["role"], row["fold"]): row for row in digests}
        (tmp_path / "models").symlink_to(lake.path / "models")
        context = Context(tmp_path, config, 1, lake.query, lake.batches)
        fold_of = {row["image_id"]: row["fold_key"] % 3 for row in keys.to_pylist()}
        found = {}
        for silent in (1, 2):  # the fold whose captions are forgotten
            changed = dict(tables)
            for name in ("tags", "captions"):
                said = [fold_of.get(i) != silent for i in tables[name]["image_id"].to_pylist()]
                changed[name] = tables[name].filter(np.array(said))
            result = stage.run(Batch(("fold 1",), changed), context)
            found[silent] = {r["role"]: r for r in result.rows["models"].to_pylist()}
    for role in ("fold", "captioner"):
        assert found[1][role]["model_digest"] == of[role, 1]["model_digest"]
        assert found[2][role]["model_digest"] != of[role, 1]["model_digest"]
    assert {row["parent"] for row in found[1].values()} == {of["first", 1]["model_digest"]}
