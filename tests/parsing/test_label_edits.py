"""Changes by hand: what moves, what stays, what can be undone, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsing.errors import ParsingError
from parsing.graph import Kind
from parsing.label_edits import add, diff, drop, find, merge, split
from parsing.label_files import PublishedList, from_csv, mapping, to_csv, to_published
from parsing.labels import (
    LabelConfig,
    LabelSystem,
    Merge,
    MergeState,
    SurfaceCount,
    build_labels,
)

COUNTS = [
    SurfaceCount("dog", "object", 9, 9), SurfaceCount("car", "object", 8, 8),
    SurfaceCount("automobile", "object", 4, 4), SurfaceCount("couch", "object", 5, 5),
    SurfaceCount("sofa", "object", 4, 4), SurfaceCount("train", "object", 6, 6),
    SurfaceCount("train", "action", 3, 3), SurfaceCount("bike", "object", 7, 7),
    SurfaceCount("motorcycle", "object", 3, 3), SurfaceCount("red", "attribute", 5, 5),
]  # fmt: skip


@pytest.fixture(scope="module")
def system() -> LabelSystem:
    return build_labels(COUNTS, LabelConfig())


def _id(system: LabelSystem, surface: str) -> int:
    tag_id = find(system, surface).tag_id
    assert tag_id is not None
    return tag_id


def test_merge_moves_every_form_and_retires_the_id(system: LabelSystem) -> None:
    changed = merge(system, "dog", "automobile")
    assert {_id(changed, s) for s in ("dog", "car", "automobile")} == {_id(system, "dog")}
    (label,) = [x for x in changed.labels if x.name == "dog"]
    assert label.mentions == 21
    assert {(c.surface, c.what) for c in diff(system, changed)} == {
        ("car", "moved"), ("automobile", "moved"),
    }  # fmt: skip
    assert changed.digest != system.digest
    again = add(changed, "zebra", "object")
    assert _id(again, "zebra") > max(x.tag_id for x in system.labels)


def test_a_retired_id_is_not_given_again(system: LabelSystem) -> None:
    last = add(system, "zebra", "object")
    gone = merge(last, "dog", "zebra")
    assert _id(add(gone, "okapi", "object"), "okapi") > _id(last, "zebra")


def test_split_undoes_a_merge_for_good(system: LabelSystem) -> None:
    changed = split(system, "automobile")
    assert _id(changed, "automobile") == system.first_free
    assert _id(changed, "car") == _id(system, "car")
    states = {(m.surface, m.into): m.state for m in changed.merges}
    assert states["automobile", "car"] == "rejected"
    later = build_labels([*COUNTS, SurfaceCount("zebra", "object", 5, 5)], LabelConfig(), changed)
    assert _id(later, "automobile") == _id(changed, "automobile") != _id(later, "car")


@pytest.mark.parametrize("state", ["rejected", "needs-review"])
def test_merge_leaves_what_is_known_of_another_part_of_speech(state: MergeState) -> None:
    verbs = Merge(2, "stroll", "walk", "WordNet", 0.5, state)
    nouns = Merge(0, "stroll", "walk", "WordNet", 0.5, "rejected")
    names = ["walk,object", "stroll,object", "walk,action", "stroll,action"]
    named = replace(LabelSystem.from_list(names), merges=(nouns, verbs))
    left = [m for m in merge(named, "walk", "stroll", "object").merges if m.evidence != "by hand"]
    assert left == [verbs]


def test_split_of_a_tag_takes_it_apart(system: LabelSystem) -> None:
    changed = split(system, "couch")
    assert _id(changed, "sofa") != _id(changed, "couch") == _id(system, "couch")


def test_what_was_merged_into_a_form_goes_with_it() -> None:
    named = LabelSystem.from_list(["chair", "sofa", "bench", "pew", "stool"])
    for into, other in (("bench", "pew"), ("sofa", "bench"), ("chair", "sofa"), ("chair", "stool")):
        named = merge(named, into, other)
    changed = split(named, "sofa")
    moved = {"sofa", "bench", "pew"}
    assert {_id(changed, form) for form in moved} == {named.first_free}
    assert _id(changed, "stool") == _id(changed, "chair") == 0
    states = {(m.surface, m.into): (m.state, m.tag_id) for m in changed.merges}
    assert states["sofa", "chair"] == ("rejected", 0)
    assert states["pew", "bench"] == states["bench", "sofa"] == ("confirmed", named.first_free)
    assert states["stool", "chair"] == ("confirmed", 0)
    apart = split(named, "chair")
    assert len({_id(apart, x.name) for x in apart.labels}) == 5


def test_a_form_that_is_split_keeps_its_kind() -> None:
    named = merge(LabelSystem.from_list(["shore,object", "beach,scene"]), "shore", "beach")
    assert {x.name: x.kind for x in split(named, "beach").labels}["beach"] == "scene"


def test_homonyms_ask_for_the_kind(system: LabelSystem) -> None:
    with pytest.raises(ParsingError, match="action, object"):
        find(system, "train")
    assert find(system, "train", "action").tag_id != find(system, "train", "object").tag_id
    with pytest.raises(ParsingError, match="kept apart"):
        merge(add(system, "jog", "action"), "dog", "jog")


def test_a_form_of_another_kind_is_told(system: LabelSystem) -> None:
    with pytest.raises(ParsingError, match=r"'dog' as action, but as object\.$"):
        find(system, "dog", "action")
    with pytest.raises(ParsingError, match="no tag: dropped by hand"):
        find(drop(system, "train", "action"), "train", "action")
    with pytest.raises(ParsingError, match="no tag: dropped by hand"):
        find(drop(system, "dog"), "dog", "action")


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda s: merge(s, "dog", "dgo"), "dgo"),
        (lambda s: merge(s, "dog", "dog"), "already"),
        (lambda s: split(s, "dog"), "only surface form"),
        (lambda s: split(s, "unicorn"), "unicorn"),
        (lambda s: add(s, "dog", "object"), "belongs to tag"),
        (lambda s: add(s, " ", "object"), "needs a name"),
        (lambda s: drop(s, "unicorn"), "unicorn"),
    ],
)  # fmt: skip
def test_wrong_input_says_what_and_changes_nothing(
    system: LabelSystem, edit: Callable[[LabelSystem], LabelSystem], says: str
) -> None:
    before = system.digest
    with pytest.raises(ParsingError, match=says):
        edit(system)
    assert system.digest == before


def test_what_was_dropped_stays_out_until_it_is_added(system: LabelSystem) -> None:
    old = _id(system, "dog")
    dropped = drop(system, "dog")
    assert old not in {x.tag_id for x in dropped.labels} and dropped.first_free > old
    again = build_labels(COUNTS, LabelConfig(), dropped)
    assert {(c.what, c.surface) for c in diff(system, again)} == {("dropped", "dog")}
    with pytest.raises(ParsingError, match="no tag: dropped by hand"):
        find(again, "dog")
    added = add(again, "dog", "object")
    assert _id(added, "dog") >= dropped.first_free
    assert _id(build_labels(COUNTS, LabelConfig(), added), "dog") == _id(added, "dog")


def test_a_form_is_dropped_alone(system: LabelSystem) -> None:
    without = build_labels(COUNTS, LabelConfig(), drop(system, "automobile"))
    assert {(c.what, c.surface) for c in diff(system, without)} == {("dropped", "automobile")}
    only = LabelSystem.from_list(["dog"])
    with pytest.raises(ParsingError, match="last tag"):
        drop(only, "dog")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["split", "merge"]), max_size=6), st.randoms())
def test_any_edits_keep_every_form_and_never_reuse_an_id(edits: list[str], chance: Random) -> None:
    now = build_labels(COUNTS, LabelConfig())
    forms = {(s.surface, s.kind) for s in now.surfaces}
    owner = {x.tag_id: x.name for x in now.labels}
    for edit in edits:
        names = [s.surface for s in now.surfaces if s.kind == "object"]
        try:
            if edit == "merge":
                now = merge(now, chance.choice(names), chance.choice(names), "object")
            else:
                now = split(now, chance.choice(names), "object")
        except ParsingError:
            continue
        for label in now.labels:
            assert owner.setdefault(label.tag_id, label.name) == label.name
        assert {(s.surface, s.kind) for s in now.surfaces} == forms
        assert sum(x.mentions for x in now.labels) == sum(c.mentions for c in COUNTS)


def test_csv_round_trip(system: LabelSystem) -> None:
    read = from_csv(to_csv(system))
    assert to_csv(read) == to_csv(system)
    assert not diff(system, read)


_SAID = st.sampled_from(["dog", "couch", "sofa", "beach", "run"])
_KINDS: st.SearchStrategy[Kind] = st.sampled_from(["object", "scene", "attribute", "action"])
_ROWS = st.lists(st.builds(SurfaceCount, _SAID, _KINDS, st.integers(1, 9), st.just(1)), min_size=1)


@settings(deadline=None, max_examples=100)
@given(_ROWS, _SAID, _KINDS)
def test_kinds_go_through_a_csv(rows: list[SurfaceCount], word: str, kind: Kind) -> None:
    """A caption says a word as a scene or as an object; its tag has one kind of the two."""
    built = build_labels(rows, LabelConfig(min_mentions=1))
    systems = [built]
    with suppress(ParsingError):
        systems.append(split(built, word, kind))
    with suppress(ParsingError):
        systems.append(add(drop(built, word, kind), word, kind))
    for system in systems:
        read = from_csv(to_csv(system))
        assert not diff(system, read)
        assert read.kinds == system.kinds
        assert to_csv(read) == to_csv(system)


def test_what_is_added_is_a_tag_in_both_kinds_that_it_was_said_in() -> None:
    said = [SurfaceCount("beach", "object", 3, 3), SurfaceCount("beach", "scene", 9, 9)]
    built = build_labels([*COUNTS, *said], LabelConfig())
    added = add(drop(built, "beach"), "beach", "object")
    (label,) = [x for x in added.labels if x.name == "beach"]
    assert (label.kind, label.mentions) == ("object", 12)


def test_capitals_are_those_of_captions() -> None:
    lines = ["1,dog,object,dog", "1,dog,object,golden retriever"]
    small = from_csv("\n".join(["tag_id,tag,kind,surface", *lines]))
    again = ["1,Dog,object,Golden Retriever", "1,dog,object,golden retriever"]
    assert from_csv("\n".join(["tag_id,tag,kind,surface", "1,Dog,object,Dog", *again])) == small


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tag,kind\n", "lacks the column"),
        ("tag_id,tag,kind,surface\nx,dog,object,dog\n", "line 2"),
        ("tag_id,tag,kind,surface\n1,dog,thing,dog\n", "thing"),
        ("tag_id,tag,kind,surface\n1,dog,object,dog\n1,cat,object,cat\n", "ID 1 is both"),
        (
            "tag_id,tag,kind,surface\n1,dog,object,dog\n2,pup,object,pup\n2,pup,object,dog\n",
            "tags 1",
        ),
        ("tag_id,tag,kind,surface\n1,dog,object,hound\n", "lacks its own form"),
        (
            "tag_id,tag,kind,surface\n0,sofa,object,couch\n1,couch,object,sofa\n",
            "'sofa', the name of tag 0, is merged into tag 1",
        ),
        (
            "tag_id,tag,kind,surface\n1,dog,object,dog\n2,Dog,object,Dog\n",
            r"line 3: 'dog' \(object\) is a form of tags 1 and 2",
        ),
        ("tag_id,tag,kind,surface\n", "no tag"),
        ("tag_id,tag,kind,surface\n1,,object,\n", "line 2: '' is no tag"),
        ("tag_id,tag,kind,surface\n1,dog,object,dog\n1,dog\n", "line 3: '' is no surface"),
        ('tag_id,tag,kind,surface\n1,dog,object,"dog\ncat"\n', "in one line"),
        (f"tag_id,tag,kind,surface\n{2**31},dog,object,dog\n", "no tag ID"),
        ("tag_id,tag,kind,surface,score\n1,dog,object,hound,good\n", "'good' is no score"),
        ("tag_id,tag,kind,surface,state\n1,dog,object,hound,maybe\n", "unknown state 'maybe'"),
    ],
)
def test_bad_files_say_where(text: str, says: str) -> None:
    with pytest.raises(ParsingError, match=says):
        from_csv(text)


def test_published_lists_keep_their_ids(tmp_path: Path, system: LabelSystem) -> None:
    tags, cuts, words = (tmp_path / name for name in ("tags.txt", "cuts.txt", "words.txt"))
    tags.write_text("dog\nautomobile \nCD\ntrain\ntrain\n", encoding="utf-8")
    cuts.write_text("0.65\n0.7\n0.8\n0.5\n1.0\n")
    words.write_text("狗\n汽车 \nCD\n火车\n训练\n", encoding="utf-8")
    given = PublishedList.read(tags, cuts, words)
    assert given.thresholds == (0.65, 0.7, 0.8, 0.5, 1.0)
    assert given.translations is not None and given.translations[1] == "汽车"
    published = given.system()
    assert [(x.tag_id, x.name) for x in published.labels][3:] == [(3, "train"), (4, "train")]
    assert published.labels[3].kind != published.labels[4].kind
    found = {row[0]: row[3] for row in mapping(published, system)}
    assert found == {0: "dog", 1: "car", 2: "", 3: "train", 4: "train"}
    assert to_published(published).splitlines()[:2] == ["dog", "automobile"]
    cuts.write_text("0.65\n")
    with pytest.raises(ParsingError, match="1 lines, but"):
        PublishedList.read(tags, cuts)
    tags.write_text("")
    with pytest.raises(ParsingError, match="no tag"):
        PublishedList.read(tags)
    tags.write_text("dog\n\ncat\n")
    with pytest.raises(ParsingError, match="line 2"):
        PublishedList.read(tags)
    with pytest.raises(ParsingError, match="retired"):
        to_published(merge(system, "dog", "car"))


def test_lists_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    tags, cuts, words = (tmp_path / name for name in ("tags.txt", "cuts.txt", "words.txt"))
    for path, text in ((tags, "dog,object\n"), (cuts, "0.65\n"), (words, "狗\n")):
        path.write_text(text, encoding="utf-8-sig")
    assert LabelSystem.from_file(tags) == LabelSystem.from_list(["dog,object"])
    tags.write_text("dog\n", encoding="utf-8-sig")
    given = PublishedList.read(tags, cuts, words)
    assert given == PublishedList(("dog",), (0.65,), ("狗",))


@pytest.mark.parametrize("form", ["x\ny", "tab\there", "null\0"])
def test_a_form_is_one_line(system: LabelSystem, form: str) -> None:
    for name, forms in ((form, ()), ("axolotl", (form,))):
        with pytest.raises(ParsingError, match="line ends"):
            add(system, name, "object", forms)
