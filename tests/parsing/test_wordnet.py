"""WordNet answers: base forms, kinds of nouns, what a picture can show, synonymy."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from parsing import wordnet
from parsing.data.build_wordnet import lexnames
from parsing.graph import Kind
from parsing.picturable import picturable


@pytest.mark.parametrize(
    ("form", "pos", "base"),
    [
        ("riding", "v", "ride"),
        ("laying", "v", "lay"),
        ("men", "n", "man"),
        ("geese", "n", "goose"),
        ("hands", "n", "hand"),
        ("stairs", "n", "stairs"),
        ("fire hydrants", "n", "fire hydrant"),
        ("larger", "a", "large"),
        ("wakeboarding", "v", "wakeboard"),
    ],
)
def test_lemma(form: str, pos: str, base: str) -> None:
    assert wordnet.lemma(form, pos, inflected=True) == base


SCENES = [
    "beach", "street", "forest", "kitchen", "city", "sky",
    "mountain", "park", "airport", "stadium", "snow",
]  # fmt: skip
THINGS = [
    "dog", "car", "table", "tree", "apple", "person",
    "shirt", "bikini", "seat", "fire_hydrant", "umbrella",
]  # fmt: skip


@pytest.mark.parametrize("surface", SCENES)
def test_scenes(surface: str) -> None:
    assert wordnet.noun_kind(surface) == "scene"


@pytest.mark.parametrize("surface", THINGS)
def test_objects(surface: str) -> None:
    assert wordnet.noun_kind(surface.replace("_", " ")) == "object"


@pytest.mark.parametrize(
    ("surface", "kind"), [("week", "object"), ("love", "object"), ("idea", "object"),
                          ("reason", "object"), ("believe", "action"), ("new york", "object")]
)  # fmt: skip
def test_not_picturable(surface: str, kind: Kind) -> None:
    assert picturable(surface, kind)


@pytest.mark.parametrize(
    ("surface", "kind"), [("dog", "object"), ("swing", "object"), ("catch", "action"),
                          ("sign", "object"), ("tennis", "object"), ("red", "attribute"),
                          ("yard", "scene"), ("book", "object"), ("xqzzy", "object")]
)  # fmt: skip
def test_picturable(surface: str, kind: Kind) -> None:
    assert picturable(surface, kind) is None


def test_evidence_is_strong_only_for_dominant_senses() -> None:
    strong = wordnet.synonym_evidence("car", "automobile", "object")
    assert strong is not None and strong.strong
    weak = wordnet.synonym_evidence("bike", "motorcycle", "object")
    assert weak is not None and not weak.strong
    assert wordnet.synonym_evidence("car", "dog", "object") is None


def test_lexnames_are_the_45() -> None:
    assert len(lexnames().splitlines()) == 45
    assert "05\tnoun.animal\t1" in lexnames()


def test_senses_are_those_of_nltk() -> None:
    reader = wordnet.reader()
    for word in random.Random(0).sample(sorted(reader._lemma_pos_offset_map), 400):
        for pos in "nvar":
            found = {sense.name: sense for sense in wordnet.senses(word, pos)}
            theirs = {s.name(): s for s in reader.synsets(word, pos) if word in _forms(s)}
            assert found.keys() == theirs.keys(), (word, pos)
            for name, sense in found.items():
                above = theirs[name].closure(lambda s: s.hypernyms() + s.instance_hypernyms())
                assert wordnet.above(sense) == {name, *(s.name() for s in above)}
                assert sense.lexname == theirs[name].lexname()


def _forms(synset: Any) -> set[str]:
    return {name.lower() for name in synset.lemma_names()}


def test_wordnet_is_read_where_a_group_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as a umask of 002 leaves a checkout; NLTK alone refuses such files
    shutil.copytree(wordnet.DATA / "wordnet", tmp_path / "wordnet")
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o775 if path.is_dir() else 0o664)
    monkeypatch.setattr(wordnet, "DATA", tmp_path)
    assert wordnet.reader.__wrapped__().synset("dog.n.01").name() == "dog.n.01"


def test_the_archive_is_not_held_open() -> None:
    """Processes forked from this one would share one place in it, and read each other's bytes."""
    assert wordnet.senses("dog", "n") and wordnet.count("dog", "n")
    held = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    assert not [name for name in held if name.endswith("wordnet.zip")]
