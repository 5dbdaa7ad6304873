"""A lake's label system changes: tags, scores and verdicts follow, no model is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from parsing.graph import Kind
from parsing.keys import Key
from parsing.label_edits import add, diff, find, merge, split
from parsing.label_files import from_csv, starter, to_csv, to_thresholds
from parsing.labels import LabelSystem, SurfaceCount, build_labels
from parsing.review import apply_review, questions
from pipeline.config import Config, load_config
from pipeline.demo import demo_config
from pipeline.errors import PlanError
from pipeline.label import doubts, rows_of
from pipeline.label_captions import build_from_captions
from pipeline.labels import (
    adopt,
    corpus_counts,
    current_system,
    label_of,
    published_thresholds,
    read_system,
    system_named,
    versions,
    with_counts,
)
from pipeline.reporting import Quiet
from pipeline.runner import Runner
from storage.lake import Lake
from storage.schemas import TABLES
from storage.sql import run_sql
from tests.lakes import brief
from tests.storage.test_upgrade import LATER_TABLES, make_old

CONFIG = demo_config(24, 0)


def _row(stage: str, unit: str) -> dict[str, Any]:
    """A ledger row whose work ID is the stage's name."""
    return {
        "work_id": stage, "stage": stage, "unit": unit, "unit_digest": unit, "fingerprint": "f",
        "artifact": None, "n_in": 3, "n_kept": 3, "n_dropped": 0, "n_rejected": 0, "run_id": "r",
        "seconds": 0.0,
    }  # fmt: skip


def _commit(lake: Lake, stage: str, tables: dict[str, pa.Table]) -> None:
    files = {name: [lake.stage_file(name, stage, table)] for name, table in tables.items()}
    lake.commit(files, [_row(stage, "s")], "test")


def _say(lake: Lake, said: list[tuple[str, str]]) -> None:
    """Captions, each of an image of its own, name objects."""
    rows = [
        {"caption_id": caption, "image_id": caption, "source": "original", "surface": surface,
         "kind": "object", "start": 9 * n, "end": 9 * n + 4, "shard_id": "s", "work_id": "parse"}
        for n, (caption, surface) in enumerate(said)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=TABLES["mentions"].schema)
    _commit(lake, "parse", {"mentions": table})


def test_what_captions_name_side_by_side_is_not_one_thing(tmp_path: Path) -> None:
    said = [("c1", "couch"), ("c1", "sofa"), ("c2", "car"), ("c3", "automobile")]
    with Lake.create(tmp_path / "lake") as lake:
        _say(lake, said)
        keys: set[Key] = {(surface, "noun") for _, surface in said}
        found = doubts(keys, lake.query)
    assert {tuple(sorted(name for name, _ in pair)) for pair in found} == {("couch", "sofa")}
    assert "name both" in next(iter(found.values()))


@pytest.mark.parametrize("rejected", [False, True])
def test_tags_that_captions_hardly_tell_apart(tmp_path: Path, rejected: bool) -> None:
    alone = ["man", "guy", "woman", "girl", "tortoise", "turtle", "rock", "stone", "cat"]
    said = [(f"{name}{n}", name) for name in alone for n in range(3)]
    said += [("both", "woman"), ("both", "girl")]
    counts = [SurfaceCount(name, "object", 3, 3) for name in alone]
    counts += [SurfaceCount(name, "action", 3, 3) for name in ("hold", "carry", "sit", "ride")]
    system = build_labels(counts, CONFIG.label)
    if rejected:
        asked = [row for row in questions(system) if row["surface"] in ("rock", "stone")]
        system = apply_review(system, [row | {"state": "rejected"} for row in asked])
    with Lake.create(tmp_path / "lake") as lake:
        _say(lake, said)
        tables = {name: table for name, table in rows_of(system).items() if table.num_rows}
        _commit(lake, "label", {
            name: table.append_column("work_id", pa.array(["label"] * table.num_rows))
            for name, table in tables.items()
        })  # fmt: skip
        found = lake.query(
            "SELECT a.name AS one, b.name AS other FROM akin_tags t "
            "JOIN current_labels a ON a.tag_id = t.tag_id "
            "JOIN current_labels b ON b.tag_id = t.akin_id"
        ).to_pylist()
    # In WordNet a cat is a guy, too, and who sits rides; hardly anyone says so.
    pairs = {("guy", "man"), ("tortoise", "turtle")}
    pairs |= set() if rejected else {("rock", "stone")}
    assert {(row["one"], row["other"]) for row in found} == pairs | {(b, a) for a, b in pairs}
    assert len(found) == 2 * len(pairs)


def test_a_file_of_captions_gives_what_a_lake_with_them_gives(demo_copy: Path) -> None:
    with Lake.open(demo_copy / "lake", read_only=True) as opened:
        rows = opened.query(
            "SELECT text FROM current_captions JOIN current_images USING (image_id) "
            "WHERE source = 'original' AND split = 'train' ORDER BY caption_id"
        ).to_pylist()
        built = current_system(opened)
    captions = [row["text"] for row in rows]
    found = build_from_captions([captions[:5], captions[5:]], CONFIG, Quiet())
    assert found.digest == built.digest
    with pytest.raises(PlanError, match="none of 1 captions names"):
        build_from_captions([["..."]], CONFIG, Quiet())


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


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    system = LabelSystem.from_list(["dog,object", "sofa,object"])
    (tmp_path / "system.csv").write_text(to_csv(system), encoding="utf-8-sig")
    assert read_system(tmp_path / "system.csv").version == system.version


def _label(lake: Path, config: Config, forced: bool = False) -> set[str]:
    """The names of the tags in use after the stage `label` ran."""
    runner = Runner(lake, config)
    with runner.lake:
        left = {row["stage"]: row["to do"] for row in runner.outlook()}["label"]
        jobs = runner.pending("label", forced)
        assert forced or len(jobs) == left
        runner.run_jobs(jobs, "test")
        return {label.name for label in current_system(runner.lake).labels}


def test_an_edit_outlives_a_setting_that_is_tried_and_taken_back(tmp_path: Path) -> None:
    lake, config = tmp_path / "lake", load_config()
    Lake.create(lake).close()
    adopt(lake, config, LabelSystem.from_list(["dog,object", "sofa,object", "couch,object"]))
    merged = merge(system_named(lake, None), "couch", "sofa")
    assert adopt(lake, config, merged)
    added = add(merged, "unicorn", "object")
    assert adopt(lake, load_config(None, ["label.min_mentions=7"]), added)
    assert _label(lake, config) == {"dog", "couch"}


def test_an_edit_is_made_again_where_the_build_before_it_is_current_again(tmp_path: Path) -> None:
    lake, config = tmp_path / "lake", load_config()
    Lake.create(lake).close()
    adopt(lake, config, LabelSystem.from_list(["dog,object", "sofa,object", "couch,object"]))
    for _ in range(2):  # the second time the edit is the very work that it was before
        assert _label(lake, config, forced=True) == {"dog", "sofa", "couch"}
        merged = merge(system_named(lake, None), "couch", "sofa")
        assert adopt(lake, config, merged)
        assert system_named(lake, None).digest == merged.digest


def test_an_imported_form_counts_in_both_kinds_that_it_is_said_in() -> None:
    given = LabelSystem.from_list(["stage,object", "beach,scene", "run,action"])
    counts: dict[tuple[str, Kind], int] = {
        ("stage", "object"): 2, ("stage", "scene"): 5, ("beach", "object"): 3, ("run", "object"): 4,
    }  # fmt: skip
    counted = with_counts(given, counts)
    assert [x.mentions for x in counted.labels] == [7, 3, 0]
    assert {s.surface for s in counted.surfaces if s.tag_id is None} == {"run"}
    said = [SurfaceCount(*key, n, n) for key, n in counts.items()]
    built = build_labels(said, CONFIG.label, given)
    tags = {(s.surface, s.kind): s.tag_id for s in built.surfaces if s.surface != "run"}
    assert tags.items() <= {(s.surface, s.kind): s.tag_id for s in counted.surfaces}.items()


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


def _list(folder: Path, *names: str) -> tuple[Path, Path]:
    """A published list with thresholds."""
    (folder / "list.txt").write_text("".join(f"{name} \n" for name in names))
    (folder / "cuts.txt").write_text("".join(f"0.{n}5\n" for n in range(len(names))))
    return folder / "list.txt", folder / "cuts.txt"


def test_published_thresholds_stay_with_their_list(demo_copy: Path, tmp_path: Path) -> None:
    lake = demo_copy / "lake"
    names, cuts = _list(tmp_path, "dog", "sofa", "couch")
    with Lake.open(lake, read_only=True) as opened:
        calibrated = opened.query("SELECT * FROM thresholds ORDER BY ALL")
    assert adopt(lake, CONFIG, system_named(lake, str(names)))
    assert adopt(lake, CONFIG, system_named(lake, str(names), cuts))  # a change of its own
    assert not adopt(lake, CONFIG, system_named(lake, str(names), cuts))
    with Lake.open(lake, read_only=True) as opened:
        assert published_thresholds(opened) == {0: 0.05, 1: 0.15, 2: 0.25}
        assert opened.query("SELECT * FROM thresholds ORDER BY ALL") == calibrated
        in_use = current_system(opened)
    assert label_of(in_use, "sofa", None)["threshold"] == 0.15
    assert to_thresholds(in_use) == "0.05\n0.15\n0.25\n"
    assert from_csv(to_csv(in_use)).thresholds == in_use.thresholds
    assert adopt(lake, CONFIG, merge(in_use, "sofa", "couch"))
    with Lake.open(lake, read_only=True) as opened:
        assert published_thresholds(opened) == {0: 0.05, 1: 0.15}
        first = versions(opened)[1]["version"]
    assert system_named(lake, first).digest == in_use.digest
    assert [c.what for c in diff(system_named(lake, str(names)), in_use)] == ["threshold"] * 3
    adopt(lake, CONFIG, starter())
    with Lake.open(lake, read_only=True) as opened:
        assert published_thresholds(opened) == {}


def test_seeds_and_translations_count_by_what_is_in_them(demo_copy: Path, tmp_path: Path) -> None:
    lake = demo_copy / "lake"

    def fingerprint(**label: object) -> str:
        config = CONFIG.model_copy(update={"label": CONFIG.label.model_copy(update=label)})
        runner = Runner(lake, config)
        with runner.lake:
            return runner.fingerprint("label")

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "seeds.txt").write_text("unicorn\n")
        (tmp_path / name / "words.tsv").write_text("dog\t狗\n")
    plain = fingerprint()
    for key, file in (("seeds", "seeds.txt"), ("translations", "words.tsv")):
        a, b = (str(tmp_path / name / file) for name in ("a", "b"))
        one, other = ((a,), (b,)) if key == "seeds" else (a, b)
        assert plain != fingerprint(**{key: one}) == fingerprint(**{key: other})
        before = fingerprint(**{key: one})
        with Path(a).open("a") as file_:
            file_.write("griffin\t狮鹫\n")
        assert fingerprint(**{key: one}) not in (before, plain)


@pytest.mark.slow
def test_a_cycle_with_tags_that_nobody_mentions(demo_copy: Path) -> None:
    lake = demo_copy / "lake"
    label = CONFIG.label.model_copy(update={"seeds": ("coco", "hico-verbs")})
    config = brief(CONFIG.model_copy(update={"label": label}))
    before = system_named(lake, None)
    done = {row.stage: row.ran for row in Runner(lake, config).run()}
    assert (done["label"], done["baseline"], done["gate"]) == (1, 4, 1)
    with Lake.open(lake, read_only=True) as opened:
        system = current_system(opened)
        ids = {x.tag_id: (x.name, x.kind) for x in before.labels}
        assert ids.items() <= {x.tag_id: (x.name, x.kind) for x in system.labels}.items()
        assert len(system.labels) > len(before.labels) + 100
        giraffe = find(system, "giraffe", "object")
        assert giraffe.mentions == 0 and giraffe.reason == "seed: coco"
        assert opened.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0") == 0
        assert opened.scalar("SELECT count(*) FROM tags") > 0
        assert opened.scalar("SELECT count(*) FROM tags WHERE name = 'giraffe'") == 0


def test_a_lake_of_an_older_version(demo_copy: Path) -> None:
    lake = demo_copy / "lake"
    with Lake.open(lake, read_only=True) as opened:
        rows = {name: opened.scalar(f"SELECT count(*) FROM {name}") for name in TABLES}
        stats = opened.query("SELECT * FROM tag_stats ORDER BY tag_id")
    make_old(lake)
    assert run_sql(lake, "SELECT * FROM tag_stats ORDER BY tag_id") == stats
    with Lake.open(lake, read_only=True) as opened:
        lost = {
            name for name in TABLES
            if opened.scalar(f"SELECT count(*) FROM {name}") != rows[name]
        }  # fmt: skip
        assert lost <= set(LATER_TABLES)  # their rows went with them
        name = current_system(opened).labels[0].name
    assert label_of(system_named(lake, None), name, None)["name"] == name
    changed = add(system_named(lake, None), "unicorn", "object")
    assert adopt(lake, CONFIG, changed)
    with Lake.open(lake, read_only=True) as opened:
        assert opened.scalar("SELECT count(*) FROM current_label_parents") > 0
