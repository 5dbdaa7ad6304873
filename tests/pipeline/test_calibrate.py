"""What cleaning learns from held-out scores follows how much is wrong of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.thresholds import fit_curve
from pipeline.calibrate import Calibrate, not_kept
from pipeline.config import load_config
from pipeline.stage import Batch, Context
from tests.pipeline.test_noise import judged, sigmoid


def none(*_: Any) -> Any:
    raise AssertionError("calibrate asks the lake nothing but its inputs")


def calibrated(
    wrong: float, said: float = 1.0, other: float = 0.0, open_: bool = False, kept: int = 1024,
    spread: float = 1.0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Thresholds of 20 tags by the scores of 1,000 images."""
    scores, carried, _ = judged(3, wrong, spread=spread)
    carried = carried * (np.random.default_rng(1).random(carried.shape) < said)
    # Some captions have another word for the first tag.
    renamed = np.flatnonzero(
        carried[:, 0] * (np.random.default_rng(2).random(len(carried)) < other)
    )
    carried[renamed, 0] = 0
    count, tags = scores.shape
    images = np.array([f"i{n:04}" for n in range(count)])
    keys = np.arange(count)
    rows, columns = np.nonzero(carried)
    tables = {
        "scores": pa.table(
            {
                "image_id": np.repeat(images, tags), "fold_key": np.repeat(keys, tags),
                "tag_id": np.tile(np.arange(tags, dtype=np.int32), count),
                "score": scores.ravel().astype(np.float32),
            }
        ),
        "tags": pa.table({"image_id": images[rows], "tag_id": columns.astype(np.int32)}),
        "unsettled": pa.table(
            {"image_id": images[renamed] if open_ else images[:0],
             "tag_id": np.zeros(len(renamed) if open_ else 0, np.int32)}
        ),
        "labels": pa.table(
            {
                "label_version": ["v"] * tags, "tag_id": np.arange(tags, dtype=np.int32),
                "name": [f"t{n}" for n in range(tags)], "kind": ["object"] * tags,
            }
        ),
    }  # fmt: skip
    config = load_config(None, [f"generate.keep_scores={kept}"])
    context = Context(Path(), config, 1, none, none)
    result = Calibrate(config, 1).run(Batch(("corpus",), tables), context)
    found: list[dict[str, Any]] = result.rows["thresholds"].to_pylist()
    return found


@pytest.mark.parametrize("wrong", [0.02, 0.1])
def test_no_more_seems_wrong_than_can_be(wrong: float) -> None:
    found = {row["noise"] for row in calibrated(wrong, spread=3)}
    # Where some right ones are hardly seen, probabilities alone add up to .10 and .16.
    assert all(abs(noise - wrong) < 0.05 for noise in found)


@pytest.mark.parametrize("wrong", [0.02, 0.1, 0.2])
def test_each_fold_is_told_how_much_is_wrong_by_the_others(wrong: float) -> None:
    rows = calibrated(wrong)
    by_fold = {(row["fold"], row["noise"]) for row in rows}
    assert len(by_fold) == 3  # all tags of a fold alike
    assert len({noise for _, noise in by_fold}) == 3
    # What is wrong flattens the slope that it is judged by, so of much a part is not seen.
    assert all(0.5 * wrong < noise < 1.2 * wrong for _, noise in by_fold)
    assert all(row["certain"] >= 0.25 and row["slope"] > 0.4 for row in rows)
    # Nor is it half-way any more where much is wrong, but not far from it, and each tag's own.
    assert len({row["midpoint"] for row in rows}) == len(rows)


def test_thresholds_ask_for_what_is_there_however_little_is_said() -> None:
    told, whole = calibrated(0.1, 0.5), calibrated(0.1)
    assert all(0.45 < row["said"] < 0.6 for row in told)
    assert all(row["said"] > 0.95 for row in whole)
    for half, full in zip(told, whole, strict=True):
        assert half["generate"] > half["support"] > half["doubt"]
        # Half as often said is no half as likely there.
        assert half["generate"] == pytest.approx(full["generate"], abs=0.2)


def test_scores_that_were_not_kept_are_not_known() -> None:
    """Of 800 tags the 180 best scores of an image are kept, and those of what its caption says."""
    chance = np.random.default_rng(0)
    often = np.clip(chance.pareto(1.2, 800) * 0.004 + 0.012, 0, 0.3)
    there = chance.random((400, 800)) < often
    said = (there & (chance.random(there.shape) < 0.7)).astype(np.float32)
    odds = chance.normal(-4, 1, there.shape) + 0.7 * np.log(often / often.mean()) + 4 * there
    scores = sigmoid(odds).astype(np.float32)
    best = scores >= np.sort(scores, axis=1)[:, [-180]]
    stored = np.where(best | (said > 0), scores, 0)
    unknown = not_kept(stored, 180)
    assert (unknown == ~best).all()
    assert fit_curve(stored, said, unknown).top == pytest.approx(0.7, abs=0.05)
    assert fit_curve(stored, said).top > 0.8  # as if they were known
    assert not not_kept(scores, 800).any()
    assert calibrated(0.1, 0.5, kept=10)[0]["said"] != calibrated(0.1, 0.5)[0]["said"]


def test_what_captions_leave_open_raises_no_threshold() -> None:
    def cut(rows: list[dict[str, Any]]) -> list[float]:
        return [row["generate"] for row in rows if row["tag_id"] == 0]

    def rest(rows: list[dict[str, Any]]) -> list[float]:
        return [row["generate"] for row in rows if row["tag_id"] > 0]

    plain = calibrated(0.1)
    absent, left_open = calibrated(0.1, other=0.5), calibrated(0.1, other=0.5, open_=True)
    assert cut(left_open) == pytest.approx(cut(plain), abs=0.06)
    assert min(np.subtract(cut(absent), cut(left_open))) > 0.05
    assert rest(left_open) == pytest.approx(rest(plain), abs=0.03)
