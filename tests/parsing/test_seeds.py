"""Seed vocabularies: their names get tags, merged as others are, before the rarest of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsing import lexicon
from parsing.errors import ParsingError
from parsing.graph import Kind
from parsing.keys import PART
from parsing.label_files import from_csv, to_csv
from parsing.labels import LabelConfig, LabelSystem, SurfaceCount, build_labels
from parsing.seeds import (
    Seed,
    class_forms,
    digest_source,
    lemma_of,
    read_seeds,
    vocabularies,
)

CORPUS = [
    SurfaceCount("dog", "object", 90, 90),
    SurfaceCount("couch", "object", 12, 12),
    SurfaceCount("kitchen", "scene", 8, 8),
    SurfaceCount("axolotl", "object", 5, 5),
    SurfaceCount("zebra", "object", 1, 1),
    SurfaceCount("ride", "action", 2, 2),
]


def _build(
    seeds: tuple[Seed, ...], counts: list[SurfaceCount] = CORPUS, ids: int = 4585
) -> LabelSystem:
    return build_labels(counts, LabelConfig(ids=ids), seeds=seeds)


def _names(system: LabelSystem) -> list[str]:
    return [label.name for label in system.labels]


@pytest.mark.parametrize("name", vocabularies())
def test_every_name_of_a_vocabulary_gets_a_tag(name: str) -> None:
    system = _build(read_seeds([name]))
    part = "verb" if name == "hico-verbs" else "noun"
    tags = {(s.surface, PART[s.kind]) for s in system.surfaces if s.tag_id is not None}
    for line in lexicon.lines(f"starter/vocabularies/{name}"):
        for form in class_forms(line):
            assert (form, part) in tags and (lemma_of(form, part), part) in tags, form


def test_what_is_not_said_has_no_mentions_and_a_reason() -> None:
    system = _build(read_seeds(["coco", "voc"]))
    by_name = {(s.surface, s.kind): s for s in system.surfaces}
    assert by_name["giraffe", "object"].mentions == 0
    assert by_name["giraffe", "object"].reason == "seed: coco"
    assert by_name["dog", "object"].reason == "seed: coco, voc"
    assert by_name["zebra", "object"].mentions == 1  # too rare without the seed
    assert by_name["zebra", "object"].tag_id is not None
    assert by_name["ride", "action"].tag_id is None and by_name["axolotl", "object"].reason is None
    kinds = {label.name: label.kind for label in _build(read_seeds(["all"])).labels}
    assert kinds["hop on"] == "action" and kinds["giraffe"] == "object"
    assert kinds["kitchen"] == "scene"


def test_seeds_merge_as_other_names_do() -> None:
    system = _build(read_seeds(["coco", "voc"]))
    tags = {s.surface: s.tag_id for s in system.surfaces if s.kind == "object"}
    assert tags["airplane"] == tags["aeroplane"]
    assert tags["couch"] == tags["sofa"]  # "couch" is COCO's, "sofa" is VOC's
    assert {x.tag_id: x.name for x in system.labels}[tags["sofa"] or 0] == "couch"


def test_the_limit_takes_the_rarest_of_the_rest(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("# two\nunicorn\nride,action\n")
    seeds = read_seeds([str(tmp_path / "mine.txt")])
    assert _names(_build((), ids=4)) == ["dog", "couch", "kitchen", "axolotl"]
    assert _names(_build(seeds, ids=5)) == ["dog", "couch", "kitchen", "ride", "unicorn"]
    assert _names(_build(seeds, ids=6))[3] == "axolotl"  # there is room: none is displaced
    assert _names(_build(seeds, ids=1)) == ["ride"]
    dropped = {s.surface: s.reason for s in _build(seeds, ids=1).surfaces}
    assert dropped["unicorn"] == "beyond the 1 most frequent tags"
    assert dropped["zebra"] == "fewer than 3 mentions"


def test_a_later_build_without_seeds_changes_nothing() -> None:
    system = _build(read_seeds(["all"]))
    assert build_labels(CORPUS, LabelConfig(), previous=system).digest == system.digest
    again = build_labels(CORPUS, LabelConfig(), previous=system, seeds=read_seeds(["all"]))
    assert again.digest == system.digest
    assert [s.tag_id for s in from_csv(to_csv(system)).surfaces] == [
        s.tag_id for s in system.surfaces if s.tag_id is not None
    ]


def test_order_and_place_of_files_do_not_matter(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("Traffic_light\nbow_(weapon)\n")
    first, second = (read_seeds([str(tmp_path / name)]) for name in ("a.txt", "b.txt"))
    assert digest_source(first) == digest_source(second)
    assert [seed.surface for seed in first] == ["bow", "traffic light"]
    one, other = read_seeds(["coco", "voc"]), read_seeds(["voc", "coco", "voc"])
    assert one == other


def test_mistakes_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ParsingError, match=r"'cocoa'.* all, ade20k, .*coco") as error:
        read_seeds(["coco", "cocoa"])
    assert "\n" not in str(error.value)
    (tmp_path / "bad.txt").write_text("dog\nrun,verb\n")
    with pytest.raises(ParsingError, match=r"bad.txt, line 2: Unknown kind 'verb'"):
        read_seeds([str(tmp_path / "bad.txt")])
    (tmp_path / "bad.txt").write_bytes("caf\xe9\n".encode("latin-1"))
    with pytest.raises(ParsingError, match=r"bad.txt: cannot be read as UTF-8"):
        read_seeds([str(tmp_path / "bad.txt")])
    with pytest.raises(ParsingError, match="cannot be read"):
        read_seeds([str(tmp_path)])


_NAMES = st.sampled_from(["dog", "sofa", "couch", "week", "train", "kitchen", "xqz", "red wagon"])
_KINDS: st.SearchStrategy[Kind] = st.sampled_from(["object", "scene", "attribute", "action"])
_COUNTS = st.lists(st.builds(SurfaceCount, _NAMES, _KINDS, st.integers(1, 9), st.integers(1, 9)))
_SEEDS = st.lists(
    st.builds(Seed, _NAMES, _KINDS, st.just(("mine",)), st.lists(_NAMES, max_size=2).map(tuple)),
    unique_by=lambda seed: seed.key,
)


def test_a_form_draws_in_what_means_the_same() -> None:
    seeds = [Seed("dog", "object", ("mine",), ("sofa",))]
    counts = [SurfaceCount("couch", "object", 1, 1)]
    system = build_labels(counts, LabelConfig(ids=3, min_mentions=2), seeds=seeds)
    tags = {s.surface: s.tag_id for s in system.surfaces}
    assert tags["couch"] == tags["sofa"] == tags["dog"] is not None
    later = build_labels(counts, LabelConfig(ids=3, min_mentions=2), previous=system)
    assert later.digest == system.digest


@settings(max_examples=100, deadline=None)
@given(_COUNTS, _SEEDS, st.integers(1, 8))
def test_any_seeds(counts: list[SurfaceCount], seeds: list[Seed], ids: int) -> None:
    system = build_labels(counts, LabelConfig(ids=ids, min_mentions=2), seeds=seeds)
    assert len(system.labels) <= ids
    forms = {(s.surface, PART[s.kind]): s for s in system.surfaces}
    assert {seed.key for seed in seeds} <= forms.keys()
    left_out = [seed for seed in seeds if forms[seed.key].tag_id is None]
    seeded = {forms[seed.key].tag_id for seed in seeds}
    if left_out:  # then no room was given to a name without a seed
        assert len(system.labels) == ids and {x.tag_id for x in system.labels} <= seeded
    for s in system.surfaces:
        assert (s.tag_id is None) == (s.state == "dropped")
        assert s.state == "kept" or s.reason
    if system.labels:
        assert from_csv(to_csv(system)).labels
    again = build_labels(counts, LabelConfig(ids=ids, min_mentions=2), seeds=seeds[::-1])
    assert again == system
    later = build_labels(counts, LabelConfig(ids=ids, min_mentions=2), previous=system)
    assert later.digest == system.digest or left_out or len(system.labels) == ids
