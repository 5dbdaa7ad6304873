"""Words of another language as evidence: how lists are read, when they merge, when they wait."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsing.errors import ParsingError
from parsing.graph import Kind
from parsing.keys import Key
from parsing.labels import LabelConfig, LabelSystem, SurfaceCount, build_labels
from parsing.merging import Doubts, Translations, evidence
from parsing.translations import TOO_COMMON, digest_source, read_translations

LIST = (
    "bike\t自行车\nbicycle\t自行车 \nmotorcycle\t摩托车\nmotorbike\t摩托车/机车\n"
    "ship\t船\nboat\t船\ncampfire\t篝火/营火\nbonfire\t营火/篝火\n"
    "mouse\t鼠标\nrock\t石头\nstone\t石头\ncomputer mouse\t鼠标\ntrain\t火车\nfire wagon\t火车\n"
)


def _read(folder: Path, text: str = LIST, name: str = "words.tsv") -> Translations:
    (folder / name).write_text(text, encoding="utf-8")
    return read_translations(folder / name)


def _build(
    words: Translations, *names: str, doubts: Doubts | None = None, kind: Kind = "object"
) -> LabelSystem:
    counts = [SurfaceCount(name, kind, 9 - n, 9 - n) for n, name in enumerate(names)]
    return build_labels(counts, LabelConfig(), doubts=doubts, words=words)


def _one(system: LabelSystem) -> bool:
    return len({s.tag_id for s in system.surfaces}) == 1


def test_a_minor_sense_and_a_shared_word_merge(tmp_path: Path) -> None:
    words = _read(tmp_path)
    assert not _one(_build({}, "rock", "stone"))
    system = _build(words, "rock", "stone")
    assert _one(system)
    (merge,) = system.merges
    assert merge.state == "auto" and "shared translation 石头" in merge.evidence
    assert "wordnet" in merge.evidence and merge.score > 0.5


def test_a_shared_word_alone_waits_for_a_person(tmp_path: Path) -> None:
    system = _build(_read(tmp_path), "train", "fire wagon")
    (merge,) = system.merges
    assert not _one(system) and merge.state == "needs-review"
    assert merge.evidence == "shared translation 火车"


def test_sisters_need_two_shared_words(tmp_path: Path) -> None:
    words = _read(tmp_path)
    for names, one in [(("ship", "boat"), False), (("campfire", "bonfire"), True)]:
        system = _build(words, *names)
        (merge,) = system.merges
        assert _one(system) == one and "both a kind of" in merge.evidence, merge
        assert merge.state == ("auto" if one else "needs-review")


def test_a_doubt_holds_it_back(tmp_path: Path) -> None:
    pair: frozenset[Key] = frozenset({("rock", "noun"), ("stone", "noun")})
    system = _build(_read(tmp_path), "rock", "stone", doubts={pair: "both are named"})
    (merge,) = system.merges
    assert not _one(system) and merge.state == "needs-review"
    assert "石头" in merge.evidence and merge.evidence.endswith("but both are named")


def test_never_across_parts_of_speech(tmp_path: Path) -> None:
    words = _read(tmp_path)
    assert evidence(("bike", "noun"), ("bicycle", "verb"), words) is None


def test_a_build_without_the_list_keeps_what_it_merged(tmp_path: Path) -> None:
    system = _build(_read(tmp_path), "bicycle", "bike")
    counts = [SurfaceCount("bicycle", "object", 9, 9), SurfaceCount("bike", "object", 8, 8)]
    assert build_labels(counts, LabelConfig(), previous=system).digest == system.digest


def test_a_word_for_everything_says_nothing(tmp_path: Path) -> None:
    many = "".join(f"thing{n}\t东西\n" for n in range(TOO_COMMON + 1))
    assert _read(tmp_path, many) == {}


def test_forms_of_the_file(tmp_path: Path) -> None:
    tabs = _read(tmp_path, "Bike\t 自行车／脚踏车 \n\nhot  dog\t热狗\n")
    commas = _read(tmp_path, "\ufeffBike,自行车/脚踏车\nhot dog,热狗\n", "words.csv")
    assert tabs == commas and digest_source(tabs) == digest_source(commas)
    assert tabs["bike", "noun"] == {"自行车", "脚踏车"} and ("hot dog", "noun") in tabs


def test_the_published_layout(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("bike \ntrain\ntrain\n")
    (tmp_path / "words.txt").write_text("自行车 \n火车\n训练\n")
    words = read_translations(tmp_path / "words.txt", tmp_path / "names.txt")
    assert words["bike", "noun"] == words["bike", "verb"] == {"自行车"}
    assert words["train", "noun"] == {"火车"} and words["train", "verb"] == {"训练"}
    (tmp_path / "words.txt").write_text("自行车\n")
    with pytest.raises(ParsingError, match="1 lines, but"):
        read_translations(tmp_path / "words.txt", tmp_path / "names.txt")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("bike\t自行车\ndog 狗\n".encode(), "line 2: 'dog 狗' is not .* tab"),
        (b"\tdog\n", "line 1"),
        ("bike\t自行车\tx\n".encode(), "line 1"),
        ("bike\t自行车\n".encode("utf-16"), "UTF-8"),
        ("bike\t自行车\n".encode("gb18030"), "UTF-8"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "words.tsv").write_bytes(content)
    with pytest.raises(ParsingError, match=says) as error:
        read_translations(tmp_path / "words.tsv")
    assert "words.tsv" in str(error.value)
    with pytest.raises(ParsingError, match=r"gone.tsv: cannot be read"):
        read_translations(tmp_path / "gone.tsv")


_NAMES = st.sampled_from(["bike", "bicycle", "ship", "boat", "dog", "hot dog", "t-shirt", "run"])
_WORDS = st.dictionaries(
    st.tuples(_NAMES, st.sampled_from(["noun", "verb", "adjective"])),
    st.frozensets(st.sampled_from("船狗龟车"), max_size=3),
)
_KINDS: st.SearchStrategy[Kind] = st.sampled_from(["object", "scene", "attribute", "action"])
_COUNTS = st.lists(st.builds(SurfaceCount, _NAMES, _KINDS, st.integers(1, 9), st.integers(1, 9)))


@settings(max_examples=60, deadline=None)
@given(_COUNTS, _WORDS)
def test_any_list(counts: list[SurfaceCount], words: Translations) -> None:
    plain = build_labels(counts, LabelConfig(min_mentions=1))
    system = build_labels(counts, LabelConfig(min_mentions=1), words=words)
    tags = {(s.surface, s.kind): s.tag_id for s in system.surfaces}
    for a, b in ((a, b) for a in plain.surfaces for b in plain.surfaces):
        if a.tag_id is not None and a.tag_id == b.tag_id:  # a list only adds merges
            assert tags[a.surface, a.kind] == tags[b.surface, b.kind]
    assert build_labels(counts[::-1], LabelConfig(min_mentions=1), words=words) == system
    parts = {label.tag_id: label.kind for label in system.labels}
    for s in system.surfaces:
        if s.tag_id is not None and s.kind in ("action", "attribute"):
            assert parts[s.tag_id] == s.kind


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_explained(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("words") / "words.tsv"
    path.write_bytes(content)
    try:
        words = read_translations(path)
    except ParsingError as error:
        assert "words.tsv" in str(error)
    else:
        assert all(surface and found for (surface, _), found in words.items())
