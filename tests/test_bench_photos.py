"""Wrong tags planted into a lake: as many as said, none that a caption names, frequent ones more
often; a copied lake is whole and its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench import run_benchmark
from bench.lakes import copy_lake, run_stages
from bench.photos import _PLANTED, _SAID, plant, wrong_pairs
from pipeline.demo import demo_config
from pipeline.errors import PlanError, SourceError
from storage.lake import Lake


@pytest.fixture
def fresh(demo_copy: Path) -> Path:
    """A lake without a planted tag."""
    return demo_copy / "lake"


def test_planted_tags_are_that_share_and_in_no_caption(fresh: Path) -> None:
    with Lake.open(fresh) as lake:
        before = {(r["image_id"], r["tag_id"]) for r in lake.query(_SAID).to_pylist()}
        plant(lake, 3, 0.2)
        after = {(r["image_id"], r["tag_id"]) for r in lake.query(_SAID).to_pylist()}
        planted = {(r["image_id"], r["tag_id"]) for r in lake.query(_PLANTED).to_pylist()}
        plant(lake, 3, 0.2)
        again = lake.query(_PLANTED).num_rows
        balance = lake.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0")
    assert planted == after - before
    assert len(planted) / len(after) == pytest.approx(0.2, abs=0.005)
    assert again == len(planted)
    assert balance == 0


def test_frequent_tags_are_planted_more_often() -> None:
    random = np.random.default_rng(0)
    said = [
        (f"{image}", tag) for image in range(400) for tag in range(20) if random.random() < 0.05
    ]
    said += [(f"{image}", 99) for image in range(0, 400, 2)]
    drawn = wrong_pairs(said, 200, 0)
    assert len(drawn) == len({(said[host][0], tag) for host, tag in drawn}) == 200
    often = Counter(tag for _, tag in drawn)
    assert often[99] > 2 * (200 - often[99]) / 20  # though half the images have it already
    assert sum(often[tag] > 0 for tag in range(20)) > 15
    assert wrong_pairs([("a", 1), ("b", 2)], 10, 0) in ([(0, 2), (1, 1)], [(1, 1), (0, 2)])


def test_seeds_plant_differently(fresh: Path, tmp_path: Path) -> None:
    found = []
    for seed in (1, 2):
        copy_lake(fresh, tmp_path / f"copy-{seed}")
        with Lake.open(tmp_path / f"copy-{seed}") as lake:
            plant(lake, seed, 0.1)
            found.append({tuple(row.values()) for row in lake.query(_PLANTED).to_pylist()})
    with Lake.open(fresh, read_only=True) as lake:
        assert lake.query(_PLANTED).num_rows == 0  # copies are of their own
    assert len(found[0] & found[1]) < len(found[0]) / 2


def test_a_planted_lake_is_cleaned_anew_and_its_labels_stay(fresh: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    copy_lake(fresh, target)
    with Lake.open(target) as lake:
        version = lake.scalar("SELECT max(label_version) FROM current_labels")
        plant(lake, 0, 0.1)
    run_stages(target, demo_config(24, 1), until="label")
    with Lake.open(target, read_only=True) as lake:
        assert lake.scalar("SELECT max(label_version) FROM current_labels") == version
        assert lake.query(_PLANTED).num_rows


@pytest.mark.slow
def test_photos_are_scored(flickr: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    lines = (flickr / "captions.csv").read_text(encoding="utf-8").splitlines()
    names = sorted({line.split(",")[0] for line in lines[1:]})[:40]
    kept = [line for line in lines if line.split(",")[0] in {"image", *names}]
    (data / "captions.csv").write_text("\n".join(kept), encoding="utf-8")
    for name in names:
        (data / "images" / name).symlink_to(flickr / "images" / name)
    found = run_benchmark("photos", data, (0,), tmp_path / "out")
    seed = found["seeds"][0]
    assert seed["wrong"] / (seed["wrong"] + seed["right"]) == pytest.approx(0.1, abs=0.005)
    assert {"adaptive", "paper", "logistic regression"} <= set(found["cleaning"])
    ranked = found["cleaning"]["logistic regression"]
    assert ranked["auc"] > 0.5
    with pytest.raises(PlanError, match="wrong=SHARE alone"):
        run_benchmark("photos", data, (0,), tmp_path / "out", ["right=1"])


def test_photos_need_data(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--data DIR"):
        run_benchmark("photos", None, (0,), tmp_path)
