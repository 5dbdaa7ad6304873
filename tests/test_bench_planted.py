"""The planted benchmark on a small finished demo, its peers, the curve over the noise, and the
settings of benchmarks."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import noise, run_benchmark
from bench.language import score_language
from bench.peers import farthest, ours, peers
from bench.planted import _iou, _overlaps, _range, generation_of, judged_tags
from bench.ranking import Method, Pair, compare
from model.checkpoint import load_tagger
from pipeline.answers import draw
from pipeline.config import Config
from pipeline.demo import demo_config
from pipeline.errors import ConfigError, PlanError
from pipeline.scoring import TRUTH, UNCLEAR, score_tags
from storage.lake import Lake
from storage.schemas import TABLES
from tests.lakes import brief
from tests.pipeline.test_rules import evidence


@pytest.mark.slow
def test_a_finished_demo_gives_nested_figures(demo_copy: Path, tmp_path: Path) -> None:
    demo_copy.rename(tmp_path / "planted-0-scenes-24")
    found = run_benchmark("planted", None, (0,), tmp_path, ["scenes=24"])
    json.dumps(found)
    assert set(found["generation"]) == {"recovered", "precision"}
    assert set(found["parse"]) == {"precision", "recall"}
    assert set(found["label"]) == {"tagged", "merged", "pure"}
    assert set(found["cleaning"]) == {"removed_wrong", "lost_right"}
    assert set(found["map"]) == {"parsing", "generation", "cleaning", "fine_tuning"}
    assert found["seeds"][0]["boxes"] == found["boxes"]
    steps = {row["step"]: row for row in found["tables"]["median"]}
    assert found["map"]["parsing"] == steps["parsed"]["mAP"] > 0
    shares = [
        found[part][key] for part in ("generation", "cleaning", "boxes") for key in found[part]
    ]
    # Of 24 scenes nothing may be generated: then nothing is said of how right that is.
    assert all(share is None or 0 <= share <= 1 for share in shares)
    assert None not in (found["generation"]["recovered"], *found["cleaning"].values())
    by = {row["by"]: row for row in found["tables"]["wrong tags of captions, median"]}
    assert by["no cleaning"]["removed_wrong"] == by["no cleaning"]["lost_right"] == 0
    assert ("cleanlab" in by) == (find_spec("cleanlab") is not None)
    with pytest.raises(PlanError, match="wrongg"):
        run_benchmark("planted", None, (0,), tmp_path, ["wrongg=0.2"])


@pytest.mark.slow
def test_a_second_round_learns_what_the_first_published(demo_copy: Path, tmp_path: Path) -> None:
    first = demo_copy.rename(tmp_path / "planted-0-scenes-24")
    found = run_benchmark("rounds", None, (0,), tmp_path, ["scenes=24"])
    json.dumps(found)
    assert list(found["cycles"]) == [1, 2]
    with Lake.open(first / "lake", read_only=True) as lake:
        assert found["cycles"][1]["recovered"] == generation_of(lake)["recovered"]
        assert lake.scalar("SELECT max(cycle) FROM current_models") == 1
        (published,) = lake.query("SELECT snapshot_id FROM current_publications").column(0)
    with Lake.open(first / "cycle-2", read_only=True) as lake:
        taught = lake.query("SELECT DISTINCT cycle FROM current_models").column(0).to_pylist()
        assert taught == [2]
        earlier = "SELECT publication_id, snapshot_id FROM publications WHERE cycle = 1"
        ((publication, snapshot),) = zip(*lake.query(earlier).to_pydict().values(), strict=True)
        assert snapshot == published.as_py()
        of = "SELECT path FROM current_models WHERE role IN ('baseline', 'first')"
        learned = [load_tagger(lake.path / path)[1] for path in lake.query(of)[0].to_pylist()]
        assert {model.publication for model in learned} == {publication}
    for figures in found["cycles"].values():
        assert 0 <= figures["recovered"] <= 1 and 0 < figures["fine_tuned_mAP"] <= 1


def test_every_method_judges_tags_that_images_carry(demo: Path) -> None:
    with Lake.open(demo / "lake", read_only=True) as lake:
        found = {"adaptive": ours(lake), **peers(lake, demo_config(24, 0))}
        carried = lake.query("SELECT image_id, tag_id FROM candidate_tags WHERE split = 'train'")
        dropped = lake.scalar("SELECT count(*) FROM dropped_tags")
        said, added = (judged_tags(lake, in_caption=part) for part in (True, False))
        overlaps = _overlaps(lake)
    pairs = set(
        zip(*(carried.column(name).to_pylist() for name in carried.schema.names), strict=True)
    )
    for method in found.values():
        assert method.dropped <= pairs
        assert method.suspicion is None or set(method.suspicion) <= pairs
    assert len(found["adaptive"].dropped) == dropped
    assert found["no cleaning"] == Method(set(), None)
    assert {*said[0], *added[0]} == pairs
    assert 0.7 < said[1].mean() < 1
    assert len(overlaps)
    assert ((overlaps >= 0) & (overlaps <= 1)).all()


def test_the_plain_loop_drops_the_farthest_tenth() -> None:
    tag = evidence()
    dropped, away = farthest(tag, 0)
    assert sum(dropped) == 10
    assert tag.images == len(dropped)
    assert away[dropped].min() >= away[~np.array(dropped)].max()


def test_methods_are_compared_at_their_own_cut_and_at_equal_loss() -> None:
    pairs = [(f"{number:03}", 1) for number in range(110)]
    right = np.arange(110) < 100
    # Two right ones, then five wrong ones, are the most suspicious; three wrong ones tie with
    # two more right ones; two wrong ones cannot be judged.
    order = {pairs[p]: 9.0 for p in (0, 1)} | {pairs[p]: 8.0 for p in range(100, 105)}
    order |= {pairs[p]: 7.0 for p in (2, 3, 105, 106, 107)}
    order |= {pairs[p]: 1.0 for p in range(4, 100)}
    found = compare(pairs, right, Method({pairs[0], pairs[100], pairs[101]}, order))
    assert found["removed_wrong"] == pytest.approx(0.2)
    assert found["lost_right"] == pytest.approx(0.01)
    assert found["removed_at_equal_loss"] == pytest.approx(0.5)
    assert found["ranked"] == pytest.approx(108 / 110)
    assert found["auc"] == pytest.approx((5 * 0.98 + 3 * (0.96 + 0.01) + 0) / 10)
    silent = compare(pairs, right, Method(set(), None))
    assert silent["removed_wrong"] == 0
    assert silent["removed_at_equal_loss"] is None
    assert compare(pairs, right | True, Method(set(), order))["auc"] is None


def test_parser_and_labels_are_scored_by_what_captions_were_written_to_say(
    demo_copy: Path,
) -> None:
    scenes = demo_copy / "scenes"
    with Lake.open(demo_copy / "lake", read_only=True) as lake:
        found = score_language(lake, scenes)
        assert found["parse"]["precision"] > 0.95
        assert found["parse"]["recall"] > 0.95
        assert 0.5 < found["label"]["tagged"] <= 1  # few scenes, so many words are too rare
        assert found["label"]["pure"] > 0.95
        truth = pq.read_table(scenes / "truth.parquet").to_pylist()
        schema = pq.read_schema(scenes / "truth.parquet")
        # Pictures that the lake could not read are not misread.
        lost = [row | {"image": f"lost-{row['image']}"} for row in truth]
        pq.write_table(pa.Table.from_pylist(truth + lost, schema), scenes / "truth.parquet")
        assert score_language(lake, scenes) == found
        said = [row | {"in_caption": True} for row in truth if not row["unclear"]]
        pq.write_table(pa.Table.from_pylist(said, schema), scenes / "truth.parquet")
        wished = score_language(lake, scenes)
    assert wished["parse"]["recall"] < 0.85  # three tenths are in no caption
    assert wished["parse"]["precision"] >= found["parse"]["precision"]


def test_a_figure_that_nothing_says_is_none() -> None:
    assert _range([None, 0.5, 1.0]) == {"median": 0.75, "least": 0.5, "most": 1.0}
    assert _range([None]) == {"median": None, "least": None, "most": None}
    pairs: list[Pair] = [("a", 0), ("b", 0)]
    clean = compare(pairs, np.ones(2, bool), Method({("a", 0)}, None))
    assert clean["removed_wrong"] is None and clean["lost_right"] == 0.5


def brief_demo(scenes: int, seed: int) -> Config:
    """A demo with short trainings on smaller pictures."""
    config = brief(demo_config(scenes, seed))
    smaller = config.encode.model_copy(update={"encoder": "efficientnet-lite0-384"})
    return config.model_copy(update={"encode": smaller})


@pytest.mark.slow
def test_a_curve_over_the_noise_encodes_its_pictures_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert noise.SHARES == (0.02, 0.05, 0.10, 0.20)
    monkeypatch.setattr(noise, "SHARES", (0.02, 0.2))  # a cycle each
    monkeypatch.setattr(noise, "demo_config", brief_demo)
    found = run_benchmark("noise", None, (0,), tmp_path, ["scenes=24"])
    json.dumps(found)
    assert list(found["curve"]) == [0.02, 0.2]
    assert {"adaptive", "paper"} <= set(found["curve"][0.2])
    encoded = []
    for share in (0.02, 0.2):
        with Lake.open(tmp_path / f"noise-0-scenes-24/wrong-{share}/lake", read_only=True) as lake:
            runs = lake.query(
                "SELECT DISTINCT run_id FROM ledger WHERE stage = 'encode' AND n_in > 0"
            )
            encoded.append(runs.column(0).to_pylist())
            features = lake.scalar("SELECT count(*) FROM current_features")
            images = lake.scalar("SELECT count(*) FROM current_images")
            captions = lake.scalar("SELECT count(*) FROM current_captions")
            assert features == images == 24 <= captions
            wrong = ~judged_tags(lake, in_caption=True)[1]
            assert abs(wrong.mean() - share) < 0.06, share
    assert encoded[0] == encoded[1]
    assert len(encoded[0]) == 1


def test_what_is_neither_right_nor_wrong_is_not_judged(demo_copy: Path) -> None:
    true = f"SELECT image_id, tag_id FROM ({TRUTH}) WHERE tag_id IS NOT NULL"
    with Lake.open(demo_copy / "lake") as lake:
        unclear = set(zip(*lake.query(UNCLEAR).to_pydict().values(), strict=True))
        assert unclear and score_tags(lake, UNCLEAR).tags == 0
        known = score_tags(lake, f"{true} UNION {UNCLEAR}")
        assert known.tags == known.right > 0
        before = judged_tags(lake, in_caption=True)[0]
        # A caption that says what could be said or not.
        (said,) = lake.query(
            f"SELECT u.image_id, u.tag_id, c.caption_id, s.surface, s.kind FROM ({UNCLEAR}) u "
            "JOIN current_captions c ON c.image_id = u.image_id AND c.source = 'original' "
            "JOIN current_label_surfaces s ON s.tag_id = u.tag_id "
            "ANTI JOIN candidate_tags t ON t.image_id = u.image_id AND t.tag_id = u.tag_id "
            "ORDER BY ALL LIMIT 1"
        ).to_pylist()
        pair = said.pop("image_id"), said.pop("tag_id")
        row = said | {"image_id": pair[0], "source": "original", "start": 0, "end": 1}
        lake.commit(
            {"mentions": [lake.stage_file("mentions", "said", pa.Table.from_pylist(
                [row | {"shard_id": "said", "work_id": "said"}], schema=TABLES["mentions"].schema
            ))]},
            [{
                "work_id": "said", "stage": "parse", "unit": "said", "unit_digest": "said",
                "fingerprint": "f", "artifact": None, "n_in": 1, "n_kept": 1, "n_dropped": 0,
                "n_rejected": 0, "run_id": "r", "seconds": 0.0,
            }],
            "test",
        )  # fmt: skip
        candidates = lake.query("SELECT image_id, tag_id FROM candidate_tags").to_pydict()
        assert pair in set(zip(*candidates.values(), strict=True))
        assert judged_tags(lake, in_caption=True)[0] == before
        asked = {
            (row["image_id"], row["tag_id"]): row["answer"]
            for row in draw(lake, 10**6, 0, truth=True)
        }
    assert asked[pair] == "" and set(asked.values()) == {"", "yes", "no"}


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
    for cycles in ("two", "0"):
        with pytest.raises(PlanError, match="1 or more"):
            run_benchmark("rounds", None, (0,), tmp_path, [f"cycles={cycles}"])
    for name, setting in (
        ("planted", "scenes=abc"), ("planted", "scenes=2.5"), ("noise", "scenes=yes"),
        ("budget", "scenes=.nan"), ("clusters", "regions=abc"), ("photos", "wrong=abc"),
    ):  # fmt: skip
        with pytest.raises(PlanError, match=r"--set .*give a .*number"):
            run_benchmark(name, tmp_path, (0,), tmp_path, [setting])
    for name, setting, says in (
        ("planted", "seed=7", "--seed N"), ("planted", "eval_scenes=0", "leave some"),
        ("budget", "seed=7", "--seed N"), ("noise", "seed=7", "sets that itself"),
    ):  # fmt: skip
        with pytest.raises(PlanError, match=says):
            run_benchmark(name, None, (0,), tmp_path, [setting])
    for wrong in ("1", "-.1"):
        with pytest.raises(PlanError, match="give a share"):
            run_benchmark("photos", tmp_path, (0,), tmp_path, [f"wrong={wrong}"])
    with pytest.raises(PlanError, match="choose from"):
        run_benchmark("planned", None, (0,), tmp_path)
