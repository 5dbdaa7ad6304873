"""A lake's label system changes: tags, scores and verdicts follow, no model is asked."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from parsing.label_edits import add, find, merge, split
from parsing.label_files import starter
from parsing.merging import Key
from pipeline.demo import demo_config
from pipeline.errors import PlanError
from pipeline.label import doubts
from pipeline.labels import (
    adopt,
    corpus_counts,
    current_system,
    label_of,
    system_named,
    versions,
    with_counts,
)
from pipeline.runner import Runner
from storage.lake import Lake
from storage.schemas import TABLES

CONFIG = demo_config(24, 0)


def test_what_captions_name_side_by_side_is_not_one_thing(tmp_path: Path) -> None:
    said = [("c1", "couch"), ("c1", "sofa"), ("c2", "car"), ("c3", "automobile")]
    rows = [
        {"caption_id": caption, "image_id": caption, "source": "original", "surface": surface,
         "kind": "object", "start": 9 * n, "end": 9 * n + 4, "shard_id": "s", "work_id": "w"}
        for n, (caption, surface) in enumerate(said)
    ]  # fmt: skip
    ledger = {"work_id": "w", "stage": "parse", "unit": "s", "unit_digest": "s",
              "fingerprint": "f", "artifact": None, "n_in": 3, "n_kept": 3, "n_dropped": 0,
              "n_rejected": 0, "run_id": "r", "seconds": 0.0}  # fmt: skip
    with Lake.create(tmp_path / "lake") as lake:
        table = pa.Table.from_pylist(rows, schema=TABLES["mentions"].schema)
        lake.commit({"mentions": [lake.stage_file("mentions", "m", table)]}, [ledger], "test")
        keys: set[Key] = {(surface, "noun") for _, surface in said}
        found = doubts(keys, lake.query)
    assert {tuple(sorted(name for name, _ in pair)) for pair in found} == {("couch", "sofa")}
    assert "name both" in next(iter(found.values()))


def _images(lake: Path) -> dict[str, set[str]]:
    with Lake.open(lake, read_only=True) as opened:
        rows = opened.query("SELECT name, image_id FROM tags").to_pylist()
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["name"], set()).add(row["image_id"])
    return found


def _two(lake: Path) -> tuple[str, str]:
    """Two object tags that no image shares."""
    found = _images(lake)
    with Lake.open(lake, read_only=True) as opened:
        names = [x.name for x in current_system(opened).labels if x.kind == "object"]
    return next(
        (a, b) for a in names for b in names
        if a < b and found.get(a) and found.get(b) and not found[a] & found[b]
    )  # fmt: skip


def test_merged_tags_are_one_at_once_and_split_ones_two(demo_copy: Path) -> None:
    lake = demo_copy / "lake"
    a, b = _two(lake)
    before = _images(lake)
    system = system_named(lake, None)
    assert adopt(lake, CONFIG, merge(system, a, b))
    after = _images(lake)
    assert after[a] == before[a] | before[b] and b not in after
    assert {k: v for k, v in after.items() if k != a} == {
        k: v for k, v in before.items() if k not in (a, b)
    }
    assert adopt(lake, CONFIG, split(system_named(lake, None), b))
    again = _images(lake)
    assert again == before
    with Lake.open(lake, read_only=True) as opened:
        assert opened.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0") == 0


def test_verdicts_follow_a_merged_tag(demo_copy: Path) -> None:
    lake = demo_copy / "lake"
    with Lake.open(lake, read_only=True) as opened:
        judged = "SELECT count(*) FROM current_verdicts v JOIN tag_ids f USING (label_version) "
        judged += "WHERE f.made_as = v.tag_id"
        before = opened.scalar(judged)
    a, b = _two(lake)
    adopt(lake, CONFIG, merge(system_named(lake, None), a, b))
    with Lake.open(lake, read_only=True) as opened:
        assert opened.scalar(judged) == before > 0
        target = find(current_system(opened), a).tag_id
        assert opened.scalar(f"SELECT count(*) FROM tag_ids WHERE tag_id = {target}") >= 2


def test_a_change_is_a_version_and_an_old_one_can_be_used_again(demo_copy: Path) -> None:
    lake = demo_copy / "lake"
    first = system_named(lake, None)
    assert adopt(lake, CONFIG, add(first, "unicorn", "object"))
    assert not adopt(lake, CONFIG, system_named(lake, None))
    with Lake.open(lake, read_only=True) as opened:
        known = versions(opened)
    assert [row["in_use"] for row in known] == [True, False]
    old = system_named(lake, known[1]["version"][:6])
    assert old.digest == first.digest
    assert adopt(lake, CONFIG, old)
    assert system_named(lake, None).digest == first.digest
    later = add(system_named(lake, None), "griffin", "object")
    assert find(later, "griffin").tag_id == first.first_free + 1  # the unicorn's is gone for good
    with pytest.raises(PlanError, match="starter"):
        system_named(lake, "zzz")


def test_a_run_after_a_change_keeps_it(demo_copy: Path) -> None:
    lake = demo_copy / "lake"
    adopt(lake, CONFIG, add(system_named(lake, None), "unicorn", "object"))
    done = Runner(lake, CONFIG).run(until="label")
    assert [row.ran for row in done] == [0, 0]
    assert find(system_named(lake, None), "unicorn")


def test_the_starter_system_in_a_lake(demo_copy: Path) -> None:
    lake = demo_copy / "lake"
    with Lake.open(lake, read_only=True) as opened:
        counts = corpus_counts(opened)
    counted = with_counts(starter(), counts)
    assert len(counted.surfaces) >= len(starter().surfaces)
    assert sum(s.mentions for s in counted.surfaces) == sum(counts.values())
    assert adopt(lake, CONFIG, counted)
    with Lake.open(lake, read_only=True) as opened:
        assert opened.scalar("SELECT count(*) FROM current_labels") == 4585
        assert opened.scalar("SELECT count(*) FROM tags WHERE name = 'dog'") > 0
        assert opened.scalar("SELECT count(*) FROM label_parents") > 1000
        general = opened.scalar(
            "SELECT count(*) FROM tags t JOIN tags s USING (image_id) JOIN tag_ancestors a "
            "ON a.tag_id = s.tag_id AND a.ancestor_id = t.tag_id"
        )
        left_out = opened.scalar(
            "SELECT (SELECT count(*) FROM tags) - (SELECT count(*) FROM specific_tags)"
        )
        assert 0 < left_out <= general
    assert label_of(starter(), "dog", None)["name"] == "dog"
