"""The label builder: accounting, order, merging, homonyms, IDs over versions, given lists."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from parsing.errors import ParsingError
from parsing.graph import Kind
from parsing.keys import Key
from parsing.labels import LabelConfig, LabelSystem, SurfaceCount, build_labels
from parsing.merging import Doubts, evidence


def _counts(*rows: tuple[str, Kind, int]) -> list[SurfaceCount]:
    return [SurfaceCount(surface, kind, n, n) for surface, kind, n in rows]


CORPUS = _counts(
    ("dog", "object", 90),
    ("car", "object", 50),
    ("automobile", "object", 4),
    ("sofa", "object", 9),
    ("couch", "object", 12),
    ("train", "object", 20),
    ("train", "action", 6),
    ("t-shirt", "object", 8),
    ("t shirt", "object", 3),
    ("beach", "scene", 30),
    ("bike", "object", 25),
    ("motorcycle", "object", 11),
    ("metal bench", "object", 1),
    ("bench", "object", 7),
    ("hot dog", "object", 1),
    ("week", "object", 40),
    ("zebra", "object", 2),
    ("red", "attribute", 33),
)


def _build(counts: list[SurfaceCount] = CORPUS, **options: int) -> LabelSystem:
    return build_labels(counts, LabelConfig.model_validate(options))


def _tag(system: LabelSystem, surface: str, kind: Kind = "object") -> int | None:
    (found,) = [s for s in system.surfaces if (s.surface, s.kind) == (surface, kind)]
    return found.tag_id


def test_every_surface_is_kept_or_dropped_with_a_reason() -> None:
    system = _build()
    assert sorted((s.surface, s.kind) for s in system.surfaces) == sorted(
        (c.surface, c.kind) for c in CORPUS
    )
    for surface in system.surfaces:
        assert (surface.state == "kept") == (surface.tag_id is not None)
        assert (surface.state == "dropped") == (surface.reason is not None)
    reasons = {s.surface: s.reason for s in system.surfaces if s.reason}
    assert reasons["zebra"] == "fewer than 3 mentions"
    assert "noun.time" in str(reasons["week"])


def test_order_of_input_does_not_matter() -> None:
    shuffled = list(CORPUS)
    random.Random(0).shuffle(shuffled)
    assert _build(shuffled) == _build()
    assert _build(shuffled).digest == _build().digest


def test_synonyms_and_spellings_merge_under_the_frequent_name() -> None:
    system = _build()
    names = {x.tag_id: x.name for x in system.labels}
    assert names[_tag(system, "automobile") or 0] == "car"
    assert names[_tag(system, "sofa") or 0] == "couch"
    assert _tag(system, "t shirt") == _tag(system, "t-shirt")
    merged = {(m.surface, m.into): m for m in system.merges if m.state == "auto"}
    assert "car.n.01" in merged["automobile", "car"].evidence
    assert {x.name: x.mentions for x in system.labels}["car"] == 54


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ice-cream", "ice cream", True),
        ("caf\u00e9", "cafe\u0301", True),  # one letter, or a letter and an accent
        ("cafe\u0301s", "cafes", False),
        ("\u0915\u093f", "\u0915\u093e", False),  # Devanagari "ki" and "ka"
        ("\u0e01\u0e34", "\u0e01\u0e35", False),  # Thai, short and long
        ("\U0001f355", "\U0001f436", False),  # a pizza and a dog
        ("\u2764\ufe0f", "\u2600\ufe0f", False),  # a heart and the sun, asked for as pictures
    ],
)
def test_letters_are_compared_with_their_marks(one: str, other: str, same: bool) -> None:
    system = build_labels(_counts((one, "object", 9), (other, "object", 8)), LabelConfig())
    assert (_tag(system, one) == _tag(system, other)) == same
    assert len(system.merges) == same


def test_parts_of_speech_stay_apart() -> None:
    system = _build()
    assert _tag(system, "train") != _tag(system, "train", "action")
    assert evidence(("train", "noun"), ("train", "verb")) is None


def test_weak_evidence_waits_for_a_person() -> None:
    system = _build()
    assert _tag(system, "bike") != _tag(system, "motorcycle")
    (row,) = [m for m in system.merges if {m.surface, m.into} == {"bike", "motorcycle"}]
    assert row.state == "needs-review"
    assert row.tag_id == _tag(system, "bike")


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (("bike", "noun"), ("bicycle", "noun"), True),  # a minor sense
        (("lorry", "noun"), ("truck", "noun"), True),  # nothing in WordNet
        (("garbage bin", "noun"), ("rubbish bin", "noun"), True),  # both read as "trash can"
        (("bike", "noun"), ("bicycle", "verb"), False),
        (("frog", "noun"), ("toad", "noun"), False),  # one by WordNet, read as two
        (("dog", "noun"), ("truck", "noun"), False),
    ],
)
def test_what_was_read_counts(one: Key, other: Key, found: bool) -> None:
    for pair in ((one, other), (other, one)):
        said = evidence(*pair)
        assert (said is not None and said.strong and said.text == "read: the same") == found, said
        assert found or said is None
    counts = [SurfaceCount(word, "object", n, n) for n, (word, _) in [(9, one), (5, other)]]
    if one[1] == other[1]:
        system = build_labels(counts, LabelConfig())
        assert (_tag(system, one[0]) == _tag(system, other[0])) == found
        assert [m.evidence for m in system.merges] == ["read: the same"] * found
        doubt: Doubts = {frozenset({one, other}): "both are named"}
        held = build_labels(counts, LabelConfig(), doubts=doubt)
        assert _tag(held, one[0]) != _tag(held, other[0])
        assert [m.state for m in held.merges] == ["needs-review"] * found


def test_rare_compound_counts_as_its_head() -> None:
    system = _build()
    assert _tag(system, "metal bench") == _tag(system, "bench")
    assert _tag(system, "hot dog") is None
    config = LabelConfig(rare_compounds="drop")
    assert _tag(build_labels(CORPUS, config), "metal bench") is None


def test_ids_follow_frequency_and_stop_at_the_limit() -> None:
    system = _build(ids=3)
    assert [x.name for x in system.labels] == ["dog", "car", "red"]
    assert [x.tag_id for x in system.labels] == [0, 1, 2]
    (beach,) = [s for s in system.surfaces if s.surface == "beach"]
    assert beach.reason == "beyond the 3 most frequent tags"
    kept = [s.surface for s in _build(top=3).surfaces if s.state == "kept"]
    assert kept == ["car", "dog"]  # the third, a week, is no picture


def test_extension_keeps_ids() -> None:
    old = _build()
    more = _counts(("zebra", "object", 500), ("auto", "object", 60), ("dog", "object", 1))
    new = build_labels(more, LabelConfig(), previous=old)
    before = {x.tag_id: (x.name, x.kind) for x in old.labels}
    after = {x.tag_id: (x.name, x.kind) for x in new.labels}
    assert before.items() <= after.items()
    assert _tag(new, "auto") == _tag(old, "car")
    assert _tag(new, "zebra") == max(before) + 1
    assert {(s.surface, s.kind) for s in old.surfaces} <= {
        (s.surface, s.kind) for s in new.surfaces
    }
    assert new.digest != old.digest


def test_extending_by_the_same_corpus_changes_nothing() -> None:
    old = _build()
    assert build_labels(CORPUS, LabelConfig(), previous=old).digest == old.digest


def test_ids_of_retired_tags_are_not_given_again() -> None:
    old = _build()
    last = old.labels[-1]
    retired = LabelSystem(old.labels[:-1], old.surfaces, old.merges)
    new = build_labels(_counts(("giraffe", "object", 9)), LabelConfig(), previous=retired)
    assert _tag(new, "giraffe") == last.tag_id + 1


def test_given_list_keeps_its_order() -> None:
    system = LabelSystem.from_list(["dog", "run", "red", "beach", "train,action", "train,object"])
    kinds = [(x.tag_id, x.name, x.kind) for x in system.labels]
    assert kinds == [
        (0, "dog", "object"),
        (1, "run", "action"),
        (2, "red", "attribute"),
        (3, "beach", "scene"),
        (4, "train", "action"),
        (5, "train", "object"),
    ]
    grown = build_labels(_counts(("beach", "object", 5)), LabelConfig(), previous=system)
    assert _tag(grown, "beach") == 3


def test_bad_lists_and_settings_are_explained() -> None:
    with pytest.raises(ParsingError, match="Tags 0 and 1 are both 'dog'"):
        LabelSystem.from_list(["dog", "dog"])
    with pytest.raises(ParsingError, match="Unknown kind 'thing'"):
        LabelSystem.from_list(["dog,thing"])
    with pytest.raises(ParsingError, match="Tag 1 of the list is empty"):
        LabelSystem.from_list(["dog", " "])
    with pytest.raises(ValidationError, match="mentionz"):
        LabelConfig.model_validate({"mentionz": 3})


_SURFACES = st.sampled_from(["dog", "car", "auto", "automobile", "sofa", "run", "t-shirt", "xqz"])
_KINDS: st.SearchStrategy[Kind] = st.sampled_from(["object", "scene", "attribute", "action"])
_ROWS = st.lists(st.builds(SurfaceCount, _SURFACES, _KINDS, st.integers(1, 9), st.integers(1, 9)))


@settings(max_examples=60, deadline=None)
@given(_ROWS, _ROWS, st.integers(1, 6), st.randoms())
def test_any_corpus(
    first: list[SurfaceCount], second: list[SurfaceCount], ids: int, rng: random.Random
) -> None:
    config = LabelConfig(ids=ids, min_mentions=2)
    system = build_labels(first, config)
    rng.shuffle(first)
    assert build_labels(first, config) == system
    grown = build_labels(second, config, previous=system)
    assert {x.tag_id for x in system.labels} <= {x.tag_id for x in grown.labels}
    assert len(grown.labels) <= max(ids, len(system.labels))
    for row in second:
        (found,) = [s for s in grown.surfaces if (s.surface, s.kind) == (row.surface, row.kind)]
        assert (found.tag_id is None) == (found.reason is not None)


def test_a_doubted_merge_waits_for_a_person() -> None:
    pair: frozenset[Key] = frozenset({("couch", "noun"), ("sofa", "noun")})
    system = build_labels(CORPUS, LabelConfig(), doubts={pair: "both are named"})
    assert _tag(system, "couch") != _tag(system, "sofa")
    (row,) = [m for m in system.merges if {m.surface, m.into} == {"couch", "sofa"}]
    assert row.state == "needs-review" and row.evidence.endswith("but both are named")
