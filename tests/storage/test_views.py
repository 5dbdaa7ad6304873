"""Views: what they give does not depend on the order in which rows lie or are read."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from storage.lake import Lake

TAGS = range(60)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An image that a caption gives many tags, each with a threshold."""
    made = Lake.create(tmp_path / "lake")
    made.raw.execute("INSERT INTO ledger (work_id, stage, unit, seq) VALUES ('w', 's', 'u', 1)")
    for statement in (
        "images (image_id, split) SELECT 'i', 'train' FROM range(1)",
        "labels (label_version, tag_id, name) SELECT 'v', t, t::VARCHAR FROM range($tags) r(t)",
        "label_surfaces (label_version, surface, kind, tag_id) "
        "SELECT 'v', t::VARCHAR, 'object', t FROM range($tags) r(t)",
        "mentions (image_id, source, surface, kind) "
        "SELECT 'i', 'original', t::VARCHAR, 'object' FROM range($tags) r(t)",
        "thresholds (label_version, fold, tag_id, midpoint, slope, noise) "
        "SELECT 'v', 0, t, 0, 1, 0.1 FROM range($tags) r(t)",
    ):
        made.raw.execute(f"INSERT INTO {statement}".replace("$tags", str(len(TAGS))))
    for table in ("images", "labels", "label_surfaces", "mentions", "thresholds"):
        made.raw.execute(f"UPDATE {table} SET work_id = 'w'")
    return made


def test_expected_wrong_tags_add_up_to_the_same_in_any_order(lake: Lake) -> None:
    random = Random(0)
    scores = [(tag, random.random()) for tag in TAGS]
    sums = set()
    for _ in range(5):
        random.shuffle(scores)
        lake.raw.execute("DELETE FROM tag_scores")
        lake.raw.executemany(
            "INSERT INTO tag_scores (image_id, label_version, fold, tag_id, score, work_id) "
            "VALUES ('i', 'v', 0, ?, ?, 'w')",
            scores,
        )
        sums.add(lake.scalar("SELECT wrong FROM expected_wrong"))
    (wrong,) = sums
    odds = [score / (1 - score) for _, score in scores]
    assert wrong == pytest.approx(sum(1 / (1 + 9 * one) for one in odds), abs=1e-5)


def test_tags_that_share_a_name_are_counted_apart(lake: Lake) -> None:
    lake.raw.execute("DELETE FROM mentions WHERE surface NOT IN ('1', '2', '3')")
    lake.raw.execute("UPDATE labels SET name = 'train' WHERE tag_id IN (1, 3)")
    found = lake.query("SELECT * FROM tag_cooccurrence").to_pylist()
    pairs = [(row["tag_id"], row["tag"], row["other_id"], row["other"]) for row in found]
    assert pairs == [(2, "2", 3, "train"), (1, "train", 2, "2"), (1, "train", 3, "train")]
    assert {row["images"] for row in found} == {1}
    # Both kinds beside the same tag: two pairs, whose names are the same.
    lake.raw.execute("UPDATE label_surfaces SET tag_id = 0 WHERE surface = '2'")
    names = "SELECT tag || ' ' || other AS pair, images FROM tag_cooccurrence WHERE tag = '0'"
    assert lake.query(names).to_pylist() == [{"pair": "0 train", "images": 1}] * 2
