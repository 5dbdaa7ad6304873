"""Cleaning in bounded memory: the same verdicts held or streamed, in any order and cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline import clean
from pipeline.clean import Clean, tags_of
from pipeline.columns import blobs_of, table_of
from pipeline.config import Config
from pipeline.errors import PlanError
from pipeline.regions import Held
from pipeline.rules.outlier import distances
from pipeline.runner import groups_of
from pipeline.stage import Batch, Context, Unit
from storage.lake import Lake
from tests.model.helpers import peak_megabytes

CHANNELS = 64
SIZES = {1: 300, 2: 41, 3: 3}
"""Regions by tag; tag 4 is a rival that has none."""


def fill(lake: Lake, sizes: dict[int, int], channels: int, shard: int = 100) -> None:
    """A lake that holds what cleaning reads: regions around two looks, a tenth elsewhere."""
    rng = np.random.default_rng(0)
    rows = {
        "labels": [
            {"label_version": "v", "tag_id": tag, "name": f"tag {tag}", "kind": "object"}
            for tag in (*sizes, max(sizes) + 1)
        ]
    }
    works = [commit(lake, "labels", "all", {"labels": table_of("labels", rows["labels"])})]
    for tag, count in sizes.items():
        looks = np.eye(2, channels)
        for start in range(0, count, shard):
            size = min(shard, count - start)
            numbers = np.arange(start, start + size)
            wrong = numbers % 10 == 9
            features = looks[numbers % 2] + 0.02 * rng.standard_normal((size, channels))
            features[wrong] = rng.standard_normal((int(wrong.sum()), channels)) / channels**0.5
            image_ids = [f"image {n:07}" for n in numbers]
            common = {"image_id": image_ids, "tag_id": [tag] * size}
            ids = [f"{hash((tag, int(n))) % 2**61:016x}-{tag}-{n}" for n in numbers]
            edges = dict.fromkeys(("x1", "y1", "x2", "y2"), np.zeros(size, np.float32))
            other = {"label_version": ["v"] * size, "other_tag_id": [max(sizes) + 1] * size}
            scores = np.where(wrong, 0.05, 0.9).astype(np.float32)
            regions = common | edges | other | {
                "region_id": ids, "score": scores, "detector": ["none"] * size,
                "prompt": [None] * size, "fold": [0] * size, "tag_score": scores,
                "other_score": 1 - scores,
            }  # fmt: skip
            features_of = common | {"region_id": ids, "feature": blobs_of(features.astype("f2"))}
            absent = [f"absent {n:07}" for n in numbers]
            of_image = {
                "image_id": [*image_ids, *absent], "tag_id": [tag] * 2 * size,
                "label_version": ["v"] * 2 * size, "fold": [0] * 2 * size,
                "model_digest": ["m"] * 2 * size,
                "score": np.concatenate([scores, np.full(size, 0.05, np.float32)]),
            }  # fmt: skip
            tables = {"regions": regions, "region_features": features_of, "tag_scores": of_image}
            made = {name: table_of(name, columns) for name, columns in tables.items()}
            works.append(commit(lake, "ground", f"{tag}-{start}", made))


def commit(lake: Lake, stage: str, unit: str, tables: dict[str, pa.Table]) -> str:
    work = f"{stage}-{unit}"
    files = {}
    for name, rows in tables.items():
        for column in ("shard_id", "work_id"):
            if column not in rows.schema.names:
                rows = rows.append_column(column, pa.array([work] * rows.num_rows, pa.string()))
        files[name] = [lake.stage_file(name, work, rows)]
    row = {
        "work_id": work, "stage": stage, "unit": unit, "unit_digest": work, "fingerprint": stage,
        "artifact": None, "n_in": 0, "n_kept": 0, "n_dropped": 0, "n_rejected": 0,
        "run_id": "test", "seconds": 0.0,
    }  # fmt: skip
    lake.commit(files, [row], stage)
    return work


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    path = tmp_path_factory.mktemp("clean") / "lake"
    Lake.create(path).close()
    with Lake.open(path) as lake:
        fill(lake, SIZES, CHANNELS)
        yield lake


def verdicts(lake: Lake, rows: int = 2048, backwards: bool = False) -> list[dict[str, Any]]:
    """Verdicts of all tags; features come in batches of `rows`, perhaps the last first."""

    def batches(sql: str, parameters: dict[str, object]) -> Iterator[pa.RecordBatch]:
        found = list(lake.batches(sql, parameters, rows))
        for batch in reversed(found) if backwards else found:
            order = np.arange(batch.num_rows)[:: -1 if backwards else 1]
            yield batch.take(pa.array(order))

    stage = Clean(Config(), 1)
    context = Context(lake.path, Config(), 1, lake.query, batches)
    units = [str(tag) for tag in SIZES]
    stage.setup(context)
    result = stage.run(Batch.read(Clean.inputs, lake.query, units), context)
    assert {unit: counts.n_in for unit, counts in result.counts.items()} == {
        str(tag): count for tag, count in SIZES.items()
    }
    assert all(counts.balance == 0 for counts in result.counts.values())
    found: list[dict[str, Any]] = result.rows["verdicts"].to_pylist()
    # NaN, where a tag is left alone, is not equal to itself.
    return [{k: None if v != v else v for k, v in row.items()} for row in found]


def test_every_region_is_judged_and_the_far_and_doubtful_go(lake: Lake) -> None:
    found = verdicts(lake)
    assert len(found) == 2 * sum(SIZES.values())
    dropped = {(v["tag_id"], int(v["image_id"][-7:])) for v in found if v["verdict"] == "drop"}
    assert dropped == {(tag, n) for tag in (1, 2) for n in range(SIZES[tag]) if n % 10 == 9}
    assert {v["unit"] for v in found} == {"1", "2", "3"}
    assert all(v["region_id"].endswith(f"-{v['tag_id']}-{int(v['image_id'][-7:])}") for v in found)


def test_where_the_whole_image_has_no_score_the_tag_is_left_alone(tmp_path: Path) -> None:
    Lake.create(tmp_path / "lake").close()
    with Lake.open(tmp_path / "lake") as lake:
        fill(lake, SIZES, CHANNELS)
        before = verdicts(lake)
        # As after a late caption, where only the best scores of an image were kept.
        lake.raw.execute("DELETE FROM tag_scores WHERE image_id = 'image 0000009'")
        after = verdicts(lake)
    late = [v for v in after if v["image_id"] == "image 0000009"]
    assert {(v["tag_id"], v["rule"]) for v in late} == {
        (v["tag_id"], v["rule"]) for v in before if v["image_id"] == "image 0000009"
    }
    assert len(after) == len(before) and len(late) == 4
    assert all(v["verdict"] == "keep" and v["score"] is None and v["region_id"] for v in late)
    assert all("was not kept" in v["reason"] for v in late)


def test_scores_weigh_as_much_as_calibration_has_found(tmp_path: Path) -> None:
    Lake.create(tmp_path / "lake").close()
    with Lake.open(tmp_path / "lake") as lake:
        fill(lake, SIZES, CHANNELS)
        before = verdicts(lake)
        cuts = ("generate", "support", "doubt", "tag", "midpoint")
        zero = dict.fromkeys(cuts, np.zeros(3, np.float32))
        # Folds count alike: tag 2 is not learned in the second, and others are not judged now.
        slopes = {
            "label_version": ["v"] * 3, "fold": [0, 0, 1], "tag_id": [1, 2, 99],
            "positives": [9] * 3, "slope": [0.25, 0.25, 0.75], "certain": [0.5, 0.5, 0.7],
            "noise": [0.1] * 3, "said": [0.7] * 3,
        }  # fmt: skip
        commit(lake, "calibrate", "corpus", {"thresholds": table_of("thresholds", zero | slopes)})
        after = verdicts(lake)
    for old, new in zip(before, after, strict=True):
        if old["rule"] == "agreement" and old["threshold"] is not None:  # not a tag left alone
            # Half the evidence: right tags are less surely right, wrong ones less surely wrong.
            less = new["score"] < old["score"]
            assert less == (old["verdict"] == "drop"), (old, new)
            assert (old["threshold"], new["threshold"]) == pytest.approx((0.5, 0.6))


def test_as_many_wrong_tags_are_expected_as_calibration_has_found(tmp_path: Path) -> None:
    Lake.create(tmp_path / "lake").close()
    with Lake.open(tmp_path / "lake") as lake:
        fill(lake, SIZES, CHANNELS)
        cuts = ("generate", "support", "doubt", "tag", "midpoint")
        zero = dict.fromkeys(cuts, np.zeros(3, np.float32))
        found = {
            "label_version": ["v"] * 3, "fold": [0, 0, 1], "tag_id": [1, 2, 99],
            "positives": [9] * 3, "slope": [1.0] * 3, "certain": [0.5] * 3,
            "noise": [0.02, 0.02, 0.06], "said": [0.7] * 3,
        }  # fmt: skip
        commit(lake, "calibrate", "corpus", {"thresholds": table_of("thresholds", zero | found)})
        batch = Batch.read(Clean.inputs, lake.query, [str(tag) for tag in SIZES])
        expected = [evidence.noise for *_, evidence in tags_of(batch, lake.batches)]
    assert expected == pytest.approx([0.04] * len(expected))
    assert expected


def test_whose_a_region_is_and_what_that_counts_is_read_from_the_lake(demo: Path) -> None:
    with Lake.open(demo / "lake", read_only=True) as lake:
        regions = lake.query(
            "SELECT image_id, tag_id, other_tag_id, region_id FROM current_regions"
        ).to_pylist()
        said = lake.query("SELECT image_id, tag_id FROM candidate_tags WHERE in_caption")
        pairs = {(row["image_id"], row["tag_id"]) for row in said.to_pylist()}
        looks = lake.query("SELECT role, look FROM current_models").to_pylist()
        tags = sorted({str(region["tag_id"]) for region in regions})
        found = list(tags_of(Batch.read(Clean.inputs, lake.query, tags), lake.batches))
    others = {
        region["region_id"]: (region["image_id"], region["other_tag_id"]) in pairs
        and region["other_tag_id"] != region["tag_id"]
        for region in regions
    }
    seen = {
        region_id: bool(is_said)
        for *_, tag in found
        for region_id, is_said in zip(tag.region_ids, tag.other_said, strict=True)
    }
    assert seen == others
    assert set(others.values()) == {False, True}
    judges = [row["look"] for row in looks if row["role"] == "fold"]
    assert len(judges) == 3
    assert all(tag.look == pytest.approx(np.mean(judges)) for *_, tag in found)
    assert all((row["look"] is None) == (row["role"] == "captioner") for row in looks)


def test_streamed_features_give_the_same_verdicts_whatever_the_batches(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = verdicts(lake)
    assert held == verdicts(lake, rows=7, backwards=True)
    monkeypatch.setattr(clean, "HELD", 40)
    streamed = verdicts(lake)
    assert streamed == verdicts(lake, rows=7)
    assert streamed == verdicts(lake, rows=50, backwards=True)
    # All regions of tag 1 are in the sample, so held or streamed is the same to the last digit.
    assert streamed == held


def test_a_spared_tag_that_is_none_is_told(lake: Lake) -> None:
    for spare, said in ((("tag 1", "tag 2"), None), (("tag 1", "tga 2"), "no tag .* 'tga 2'")):
        config = Config.model_validate({"clean": {"spare": spare}})
        context = Context(lake.path, config, 1, lake.query, lake.batches)
        with pytest.raises(PlanError, match=said) if said else nullcontext():
            Clean(config, 1).setup(context)


def test_a_streamed_sample_is_of_the_regions_and_no_larger_than_asked(lake: Lake) -> None:
    ids = lake.query("SELECT region_id FROM regions WHERE tag_id = 1").column(0).to_pylist()
    regions = clean.Streamed(1, ids, lake.batches)
    assert len(regions) == 300
    some = regions.sample(40)
    assert 20 <= len(some) <= 40
    assert np.array_equal(some, clean.Streamed(1, ids[::-1], lake.batches).sample(40))
    places = np.concatenate([rows for rows, _ in regions.blocks()])
    assert sorted(places) == list(range(300))
    assert np.allclose(np.linalg.norm(some, axis=1), 1, atol=1e-5)


def test_blocks_of_an_array_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).normal(size=(5000, 16)).astype(np.float32)
    whole = distances(points, 0)
    monkeypatch.setattr("pipeline.regions.BLOCK", 37)
    assert np.array_equal(distances(points, 0), whole)
    assert len(Held(points).sample(100)) == 100


def test_groups_are_bounded_by_size_and_a_large_unit_is_alone() -> None:
    units = [Unit(str(n), "", size) for n, size in enumerate([5, 4, 1, 30, 2, 9])]
    groups = [[unit.size for unit in group] for group in groups_of(units, 10)]
    assert groups == [[5, 4, 1], [30], [2], [9]]
    assert list(groups_of([], 10)) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_a_tag(tmp_path: Path) -> None:
    """Features of 800 MB; the sample, a few batches and DuckDB's buffers are in memory."""
    Lake.create(tmp_path / "lake").close()
    sizes = {1: 160_000, 2: 3000}
    with Lake.open(tmp_path / "lake") as lake:
        fill(lake, sizes, 2560, shard=2500)
    peaks = {}
    with Lake.open(tmp_path / "lake", read_only=True) as lake:
        for tag in (2, 1):
            sql = "SELECT region_id FROM regions WHERE tag_id = $tag"
            ids = lake.query(sql, {"tag": tag}).column(0).to_pylist()
            Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
            distances(clean.Streamed(tag, ids, lake.batches), 0)
            peaks[tag] = peak_megabytes()
    assert peaks[1] - peaks[2] < 550, peaks
