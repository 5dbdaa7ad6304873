"""The planted benchmark on a small finished demo, its peers, and the settings of benchmarks."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bench import run_benchmark
from bench.peers import _farthest, peers
from bench.planted import _iou, _overlaps, _removed
from pipeline.demo import demo_config
from pipeline.errors import ConfigError, PlanError
from storage.lake import Lake
from tests.pipeline.test_rules import evidence


@pytest.mark.slow
def test_a_finished_demo_gives_nested_figures(demo_copy: Path, tmp_path: Path) -> None:
    demo_copy.rename(tmp_path / "planted-0-scenes-24")
    found = run_benchmark("planted", None, (0,), tmp_path, ["scenes=24"])
    json.dumps(found)
    assert set(found["generation"]) == {"recovered", "precision"}
    assert set(found["cleaning"]) == {"removed_wrong", "lost_right"}
    assert set(found["map"]) == {"parsing", "generation", "cleaning", "fine_tuning"}
    assert found["seeds"][0]["boxes"] == found["boxes"]
    steps = {row["step"]: row for row in found["tables"]["median"]}
    assert found["map"]["parsing"] == steps["parsed"]["mAP"] > 0
    shares = [
        found[part][key] for part in ("generation", "cleaning", "boxes") for key in found[part]
    ]
    assert all(0 <= share <= 1 for share in shares)
    by = {row["by"]: row for row in found["tables"]["wrong tags of captions, median"]}
    assert by["no cleaning"]["removed_wrong"] == by["no cleaning"]["lost_right"] == 0
    assert ("cleanlab" in by) == (find_spec("cleanlab") is not None)
    with pytest.raises(PlanError, match="wrongg"):
        run_benchmark("planted", None, (0,), tmp_path, ["wrongg=0.2"])


def test_peers_drop_tags_that_images_carry(demo: Path) -> None:
    with Lake.open(demo / "lake", read_only=True) as lake:
        found = peers(lake, demo_config(24, 0))
        carried = lake.query("SELECT image_id, tag_id FROM candidate_tags WHERE split = 'train'")
        overlaps = _overlaps(lake)
    pairs = set(
        zip(*(carried.column(name).to_pylist() for name in carried.schema.names), strict=True)
    )
    assert all(dropped <= pairs for dropped in found.values())
    assert len(overlaps)
    assert ((overlaps >= 0) & (overlaps <= 1)).all()


def test_the_plain_loop_drops_the_farthest_tenth() -> None:
    tag = evidence()
    dropped = _farthest(tag, 0)
    assert dropped.sum() == 10
    assert tag.images == len(dropped)


def test_shares_are_of_the_captions_tags() -> None:
    pairs = [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)]
    right = np.array([True, True, False, False, False])
    in_caption = np.array([True, True, True, True, False])
    found = _removed(pairs, right, in_caption, {("a", 1), ("c", 1), ("e", 1)})
    assert found == {"removed_wrong": 0.5, "lost_right": 0.5}


def test_overlap_of_boxes() -> None:
    one = np.array([[0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 4, 1]], float)
    other = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 3, 3], [1, 0, 2, 1]], float)
    assert _iou(one, other).tolist() == pytest.approx([1, 1 / 3, 0, 1 / 4])


def test_settings_of_benchmarks_are_checked(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="takes no settings"):
        run_benchmark("rerun", None, (0,), tmp_path, ["a=1"])
    with pytest.raises(ConfigError, match="write it as"):
        run_benchmark("clusters", None, (0,), tmp_path, ["regions"])
    with pytest.raises(PlanError, match="regions=N alone"):
        run_benchmark("clusters", None, (0,), tmp_path, ["region=5"])
    with pytest.raises(PlanError, match="choose from"):
        run_benchmark("planned", None, (0,), tmp_path)
