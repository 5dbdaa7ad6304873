"""Reviews: what is asked, in which files, and what the answers change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parsing.errors import ParsingError
from parsing.label_edits import diff, find
from parsing.labels import (
    KEPT_BY_HAND,
    LabelConfig,
    LabelSystem,
    Merge,
    SurfaceCount,
    build_labels,
)
from parsing.review import COLUMNS, apply_review, questions, read_rows, to_text
from parsing.seeds import Seed

COUNTS = [
    SurfaceCount("dog", "object", 9, 9), SurfaceCount("bike", "object", 7, 7),
    SurfaceCount("motorcycle", "object", 5, 5), SurfaceCount("couch", "object", 5, 5),
    SurfaceCount("sofa", "object", 4, 4), SurfaceCount("book", "object", 6, 6),
    SurfaceCount("beauty", "object", 3, 3), SurfaceCount("love", "object", 8, 8),
]  # fmt: skip


@pytest.fixture
def system() -> LabelSystem:
    return build_labels(COUNTS, LabelConfig())


def _tag(system: LabelSystem, surface: str) -> int | None:
    (found,) = [s for s in system.surfaces if s.surface == surface]
    return found.tag_id


def _asked(system: LabelSystem, **options: Any) -> list[tuple[str, str]]:
    return [(row["surface"], row["into"]) for row in questions(system, **options)]


def _answer(system: LabelSystem, surface: str, state: str, **options: Any) -> LabelSystem:
    rows = [r | {"state": state} for r in questions(system, **options) if r["surface"] == surface]
    assert rows, f"{surface} is not asked"
    return apply_review(system, rows)


def test_uncertain_merges_and_picks_are_asked(system: LabelSystem) -> None:
    # WordNet counts "book" mostly as what is told in it, "beauty" mostly as a quality; a "dog" is
    # seen, "love" is not, so nobody is asked.
    assert _asked(system) == [("motorcycle", "bike"), ("book", ""), ("beauty", "")]
    assert _asked(system, least_mentions=4) == [("motorcycle", "bike"), ("book", "")]
    assert _tag(system, "book") is not None and _tag(system, "beauty") is None


def test_answers_about_merges(system: LabelSystem) -> None:
    confirmed = _answer(system, "motorcycle", "confirmed")
    assert _tag(confirmed, "motorcycle") == _tag(confirmed, "bike")
    rejected = _answer(system, "motorcycle", "rejected")
    for answered in (confirmed, rejected):
        assert ("motorcycle", "bike") not in _asked(answered)
    undone = _answer(system, "sofa", "rejected", every=True)
    assert _tag(undone, "sofa") != _tag(undone, "couch")


def test_answers_about_picks_outlast_a_build(system: LabelSystem) -> None:
    now = _answer(_answer(system, "book", "rejected"), "beauty", "confirmed")
    again = build_labels(COUNTS, LabelConfig(), now)
    assert not diff(now, again)
    assert _tag(again, "book") is None and _tag(again, "beauty") == find(again, "beauty").tag_id
    assert _asked(again) == [("motorcycle", "bike")]
    assert _asked(_answer(system, "book", "confirmed")) == [("motorcycle", "bike"), ("beauty", "")]


@pytest.mark.parametrize("state", ["needs-review", "rejected"])
def test_a_pair_is_asked_about_once_whichever_word_is_more_frequent(
    system: LabelSystem, state: str
) -> None:
    answered = _answer(system, "motorcycle", state)
    more = [SurfaceCount("motorcycle", "object", 99, 99)]
    again = build_labels([*COUNTS, *more], LabelConfig(), answered)
    assert again.merges == answered.merges
    assert (("motorcycle", "bike") in _asked(again)) == (state == "needs-review")
    named = LabelSystem.from_list(["motorcycle,action", "bike,action"])  # another question
    verbs = replace(named, merges=(Merge(1, "motorcycle", "bike", "by hand", 1, "rejected"),))
    both = build_labels(COUNTS, LabelConfig(), verbs)
    assert ("motorcycle", "bike") in _asked(both)


def test_a_pick_that_is_kept_is_not_asked_about_where_a_class_names_it(system: LabelSystem) -> None:
    kept = _answer(_answer(system, "book", "confirmed"), "beauty", "confirmed")
    seeds = [Seed("book", "object", ("coco",), ()), Seed("dog", "object", ("coco",), ())]
    again = build_labels(COUNTS, LabelConfig(), kept, seeds=seeds)
    assert _asked(again) == [("motorcycle", "bike")]
    reasons = {s.surface: s.reason for s in again.surfaces}
    assert (reasons["book"], reasons["dog"]) == (KEPT_BY_HAND, "seed: coco")


@pytest.fixture
def walks() -> LabelSystem:
    """Both nouns and both verbs, and of each pair the question whether they are one tag."""
    named = LabelSystem.from_list(["walk,object", "stroll,object", "walk,action", "stroll,action"])
    merges = [Merge(tag, "stroll", "walk", "WordNet", 0.5, "needs-review") for tag in (0, 2)]
    return replace(named, merges=tuple(merges))


def _tags(system: LabelSystem) -> dict[tuple[str, str], int | None]:
    return {(s.surface, s.kind): s.tag_id for s in system.surfaces}


@pytest.mark.parametrize(("kind", "other"), [("object", "action"), ("action", "object")])
def test_an_answer_is_about_one_part_of_speech(walks: LabelSystem, kind: str, other: str) -> None:
    row = {"surface": "stroll", "into": "walk"}
    one, two = (
        {**row, "kind": k, "state": s} for k, s in ((kind, "confirmed"), (other, "rejected"))
    )
    for now in (apply_review(walks, [one, two]), apply_review(walks, [two, one])):
        tags = _tags(now)
        assert tags["stroll", kind] == tags["walk", kind]
        assert tags["stroll", other] != tags["walk", other]
        states = {now.kinds[m.tag_id]: m.state for m in now.merges}
        assert states == {kind: "confirmed", other: "rejected"}
    both = apply_review(walks, [one, {**two, "state": "confirmed"}])
    assert len(set(_tags(both).values())) == 2


def test_an_object_and_a_scene_are_one_part_of_speech() -> None:
    named = LabelSystem.from_list(["beach,scene", "shore,object"])
    asked = replace(named, merges=(Merge(1, "beach", "shore", "WordNet", 0.5, "needs-review"),))
    confirmed = _answer(asked, "beach", "confirmed")
    assert _tag(confirmed, "beach") == _tag(confirmed, "shore") == 1


def test_rows_left_as_they_are_change_nothing(system: LabelSystem) -> None:
    assert apply_review(system, questions(system)).digest == system.digest


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_files_hold_the_rows(
    system: LabelSystem, tmp_path: Path, suffix: str, encoding: str
) -> None:
    """Also where an editor or Excel has put a byte order mark before them."""
    path, rows = tmp_path / f"review{suffix}", questions(system, every=True)
    path.write_text(to_text(rows, suffix), encoding)
    assert [{c: str(r[c]) for c in COLUMNS} for r in read_rows(path)] == [
        {c: str(r[c]) for c in COLUMNS} for r in rows
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"surface": "a", "into": "b"}, "columns"),
        ({"surface": "a", "into": "b", "kind": None, "state": None}, "columns"),
        (
            {"surface": "a", "into": "b", "kind": "object", "state": "rejected"},
            r"'a' into 'b' \(object\)",
        ),
        ({"surface": "a", "into": "b", "kind": "object", "state": "maybe"}, "maybe"),
        ({"surface": "a", "into": "b", "kind": "thing", "state": "rejected"}, "thing"),
        ({"surface": "a", "into": "", "kind": "object", "state": "rejected"}, "never say 'a'"),
    ],
)
def test_wrong_rows_say_which(system: LabelSystem, row: dict[str, Any], says: str) -> None:
    right = questions(system)[0] | {"state": "confirmed"}
    with pytest.raises(ParsingError, match=f"Row 2.*{says}"):
        apply_review(system, [right, row])


def test_answers_that_do_not_go_together_say_which_row(system: LabelSystem) -> None:
    (asked,) = [row for row in questions(system) if row["surface"] == "motorcycle"]
    dropped = asked | {"into": "", "state": "rejected"}
    for row in (dropped, dropped | {"surface": "bike"}):
        with pytest.raises(ParsingError, match=r"Row 2: .*(no tag: dropped by hand|No merge of)"):
            apply_review(system, [row, asked | {"state": "confirmed"}])


def test_wrong_files_say_what(tmp_path: Path) -> None:
    path = tmp_path / "review.json"
    for text in ('{"a": 1}', "[1]", "{"):
        path.write_text(text)
        with pytest.raises(ParsingError, match=r"review\.json"):
            read_rows(path)
