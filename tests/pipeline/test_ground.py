"""Grounding with a detector that reads pictures: prompts are kept, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import ModelError
from pipeline.config import load_config
from pipeline.demo import demo_config
from pipeline.errors import PlanError
from pipeline.ground import Ground
from pipeline.ingest import ingest
from pipeline.readers import Record
from pipeline.reporting import Quiet
from pipeline.runner import Runner
from pipeline.ungrounded import GONE, NO_FEATURES
from storage.lake import Lake
from tests.lakes import commit
from tests.model.dino import tiny_dino

SETTINGS = ["ground.detector=grounding-dino", "ground.threshold=0.001", "ground.batch=8"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Grounding-DINO with random weights."""
    return tiny_dino(tmp_path_factory.mktemp("weights"))


def runner(demo: Path, settings: list[str]) -> Runner:
    given = load_config(None, settings).ground
    config = demo_config(24, 0).model_copy(update={"ground": given})
    return Runner(demo / "lake", config, reporter=Quiet())


@pytest.mark.slow
def test_grounding_dino_grounds_a_lake(demo_copy: Path, weights: Path) -> None:
    with Lake.open(demo_copy / "lake") as lake:
        before = lake.scalar("SELECT count(*) FROM current_regions")
        gone = lake.scalar("SELECT min(image_id) FROM tag_evidence WHERE split = 'train'")
        # The pictures themselves are other tests' too.
        lake.raw.execute(
            "UPDATE images SET uri = replace(uri, '.jpg', '.gone') WHERE image_id = ?", [gone]
        )
    settings = [*SETTINGS, f"ground.weights={weights}"]
    runner(demo_copy, settings).run(first="ground", until="publish")
    with Lake.open(demo_copy / "lake", read_only=True) as lake:
        rows = lake.query(
            "SELECT DISTINCT detector, prompt IS NULL AS without FROM current_regions"
        )
        assert rows.to_pylist() == [{"detector": "grounding-dino", "without": False}]
        assert before
        outside = lake.scalar(
            "SELECT count(*) FROM current_regions r JOIN current_images i USING (image_id) "
            "WHERE x1 < 0 OR y1 < 0 OR x2 > i.width + 0.01 OR y2 > i.height + 0.01 OR x2 < x1"
        )
        assert outside == 0
        named = lake.scalar(
            "SELECT count(*) FROM current_regions r JOIN current_labels l USING (tag_id) "
            "WHERE NOT contains(r.prompt, l.name || '.')"
        )
        assert named == 0
        assert lake.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0") == 0
        rejected = lake.query("SELECT image_id FROM current_rejects WHERE stage = 'ground'")
        assert set(rejected.column(0).to_pylist()) == {gone}
        ungrounded = lake.scalar(
            "SELECT count(*) FROM current_verdicts WHERE rule = 'ungrounded' AND image_id = $image "
            "AND reason = $why",
            {"image": gone, "why": GONE},
        )
        own = lake.scalar(
            "SELECT count(DISTINCT tag_id) FROM tag_evidence WHERE image_id = $image",
            {"image": gone},
        )
        assert ungrounded == own > 0


def test_a_budget_is_spent_where_most_wrong_tags_are_expected(demo_copy: Path) -> None:
    runner(demo_copy, ["ground.budget=0.4"]).run(first="ground", until="publish")
    with Lake.open(demo_copy / "lake", read_only=True) as lake:
        expected = lake.query(
            "SELECT image_id, coalesce(wrong, 0) AS wrong FROM current_images "
            "LEFT JOIN expected_wrong USING (image_id) WHERE split = 'train' ORDER BY wrong DESC"
        ).to_pydict()
        seen = lake.query("SELECT DISTINCT image_id FROM current_regions").column(0).to_pylist()
        ungrounded = lake.query(
            "SELECT reason, list(DISTINCT image_id) AS images FROM current_verdicts "
            "WHERE rule = 'ungrounded' GROUP BY reason"
        )
        assert lake.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0") == 0
        published = lake.scalar("SELECT count(DISTINCT image_id) FROM tags WHERE split = 'train'")
    dearest = expected["image_id"][:9]  # of 24 images
    assert expected["wrong"][8] > expected["wrong"][9]
    assert len(seen) >= 8  # one may have no region
    assert set(seen) <= set(dearest)
    reasons = dict(zip(*ungrounded.to_pydict().values(), strict=True))
    (left,) = (images for reason, images in reasons.items() if "ground.budget" in reason)
    assert not set(left) & set(dearest)
    assert published == len({*dearest, *left})


def test_a_picture_without_features_is_told_as_such(demo_copy: Path) -> None:
    with Lake.open(demo_copy / "lake") as lake:
        lost = lake.scalar("SELECT min(image_id) FROM candidate_tags WHERE split = 'train'")
        lake.raw.execute("DELETE FROM features WHERE image_id = $image", {"image": lost})
    runner(demo_copy, ["ground.budget=0.99"]).run(first="ground", until="ground")
    with Lake.open(demo_copy / "lake", read_only=True) as lake:
        asked = (
            "SELECT reason FROM current_verdicts WHERE rule = 'ungrounded' AND image_id = $image"
        )
        reasons = lake.query(asked, {"image": lost}).column(0).to_pylist()
        candidates = "SELECT count(*) FROM candidate_tags WHERE image_id = $image"
        assert reasons == [NO_FEATURES] * lake.scalar(candidates, {"image": lost})
        assert lake.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0") == 0


def test_a_tag_is_grounded_with_the_first_shard_that_names_it(tmp_path: Path) -> None:
    said = {"z": ["dog"], "y": ["dog", "cat"], "x": ["cat"]}  # in the order of ingest
    words = {"dog": 1, "cat": 2}
    with Lake.create(tmp_path / "lake") as lake:
        rows = {
            "images": [{"image_id": "i", "split": "train", "shard_id": "z"}],
            "mentions": [
                {"image_id": "i", "caption_id": f"{shard} {word}", "source": "original",
                 "surface": word, "kind": "object", "shard_id": shard}
                for shard, those in said.items() for word in those
            ],
            "labels": [{"label_version": "v", "tag_id": tag} for tag in words.values()],
            "label_surfaces": [
                {"label_version": "v", "surface": word, "kind": "object", "tag_id": tag}
                for word, tag in words.items()
            ],
        }  # fmt: skip
        commit(lake, rows, "all")
        (row,) = lake.query("SELECT * FROM ledger").to_pylist()
        for shard in (*said, "z"):  # the first had a picture that came back
            ledger = row | {"work_id": shard, "stage": "ingest", "unit": shard}
            lake.commit({}, [ledger], "ingest")
        brought = {
            shard: lake.query(Ground.inputs["candidates"], {"units": [shard]}).column(1).to_pylist()
            for shard in said
        }
    assert brought == {"z": [1], "y": [2], "x": []}


def test_later_captions_that_repeat_tags_double_no_region(demo_copy: Path) -> None:
    keys = {
        "regions": "region_id", "region_features": "region_id",
        "verdicts": "(image_id, tag_id, rule)",
    }  # fmt: skip
    config = demo_config(24, 0)
    with Lake.open(demo_copy / "lake") as lake:
        before = lake.scalar("SELECT count(*) FROM current_regions")
        known = lake.query(
            "SELECT i.name, i.uri, min(t.name) AS tag FROM current_images i "
            "JOIN tags t USING (image_id) WHERE t.kind = 'object' AND i.split = 'train' "
            "GROUP BY ALL ORDER BY ALL LIMIT 6"
        ).to_pylist()
        records = [Record(row["name"], row["uri"], (f"I see the {row['tag']}.",)) for row in known]
        assert ingest(lake, records, config.ingest).new_captions == 6
    Runner(demo_copy / "lake", config).run(until="clean")
    with Lake.open(demo_copy / "lake", read_only=True) as lake:
        for table, key in keys.items():
            counted = f"SELECT count(*) - count(DISTINCT {key}) FROM current_{table}"
            assert lake.scalar(counted) == 0, table
        assert lake.scalar("SELECT count(*) FROM current_regions") == before
        assert lake.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0") == 0


def test_missing_weights_stop_before_any_work(demo_copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="needs weights"):
        runner(demo_copy, ["ground.detector=groundingdino"]).check(["parse", "ground"])
    with pytest.raises(PlanError, match=r"ground\.encoder swin: only crops"):
        runner(demo_copy, ["ground.encoder=swin"]).check(["ground"])
    with pytest.raises(ModelError, match="swin"):
        crops = ["ground.encoder=swin", "ground.features=crops"]
        runner(demo_copy, crops).check(["ground"])
    lost = [*SETTINGS, f"ground.weights={tmp_path / 'lost'}"]
    with pytest.raises(ModelError, match=r"lost: there is nothing"):
        runner(demo_copy, lost).check(["parse", "ground"])
