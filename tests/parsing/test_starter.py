"""The starter label system: its size, its coverage of known vocabularies, its merges as judged."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from parsing import lexicon
from parsing.hierarchy import akin, parents
from parsing.keys import PART
from parsing.label_files import starter, to_csv
from parsing.labels import LabelSystem
from parsing.seeds import class_forms

HERE = Path(__file__).parent
WANTED = {
    "coco": 1.0, "voc": 1.0, "cifar100": 0.97, "objects365": 0.97, "ade20k": 0.97, "lvis": 0.95,
    "openimages": 0.95, "hico-verbs": 0.9, "imagenet": 0.6,
}  # fmt: skip


@pytest.fixture(scope="module")
def tags() -> dict[tuple[str, str], int]:
    return {(s.surface, PART[s.kind]): s.tag_id or 0 for s in starter().surfaces}


def _rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_its_size_is_that_of_ram(tags: dict[tuple[str, str], int]) -> None:
    system = starter()
    assert len(system.labels) == 4585 and len(system.surfaces) >= 6449
    assert [label.tag_id for label in system.labels] == list(range(4585))
    assert len(tags) == len(system.surfaces)  # no form twice, also not as object and scene
    kinds = Counter(label.kind for label in system.labels)
    assert min(kinds[kind] for kind in ("object", "scene", "attribute", "action")) >= 200


@pytest.mark.parametrize("vocabulary", sorted(WANTED))
def test_coverage(vocabulary: str, tags: dict[tuple[str, str], int]) -> None:
    part = "verb" if vocabulary == "hico-verbs" else "noun"
    names = lexicon.lines(f"starter/vocabularies/{vocabulary}")
    found = [any((form, part) in tags for form in class_forms(name)) for name in names]
    assert sum(found) / len(found) >= WANTED[vocabulary]


def test_homonyms_are_apart(tags: dict[tuple[str, str], int]) -> None:
    for a, b in [("mouse", "computer mouse"), ("bat", "baseball bat"), ("glass", "glasses"),
                 ("organ", "piano"), ("seal", "stamp")]:  # fmt: skip
        if (a, "noun") in tags and (b, "noun") in tags:
            assert tags[a, "noun"] != tags[b, "noun"]
    assert tags["train", "noun"] != tags["train", "verb"]


def test_merges_are_right_as_judged_by_reading(tags: dict[tuple[str, str], int]) -> None:
    rows = _rows("starter_merges.tsv")
    still = [
        row for row in rows
        if tags.get((row["surface"], _part(row))) == tags.get((row["tag"], _part(row)), -1)
    ]  # fmt: skip
    assert len(still) >= 290
    assert sum(row["same"] == "yes" for row in still) / len(still) >= 0.98


def test_synonyms_are_one_tag_and_others_are_not(tags: dict[tuple[str, str], int]) -> None:
    rows = _rows("synonyms.tsv")
    one = [row for row in rows if _one_tag(row, tags)]
    assert sum(row["same"] == "yes" for row in one) >= 260  # of 300
    assert not [row for row in one if row["same"] == "no"]


def test_what_reading_settled(tags: dict[tuple[str, str], int]) -> None:
    one = [("sofa", "couch"), ("arm", "human arm"), ("saxophone", "sax"), ("pajamas", "pyjamas"),
           ("bucket", "pail"), ("ox", "oxen")]  # fmt: skip
    two = [("frog", "toad"), ("cow", "cattle"), ("sport", "athletics"), ("earphones", "headphones"),
           ("chocolate", "hot chocolate"), ("cooler", "refrigerator")]  # fmt: skip
    assert all(tags[a, "noun"] == tags[b, "noun"] for a, b in one)
    assert all(tags[a, "noun"] != tags[b, "noun"] for a, b in two)


def test_actions_are_found_in_their_ing_form(tags: dict[tuple[str, str], int]) -> None:
    for base, gerund in [("swim", "swimming"), ("ride", "riding"), ("sit", "sitting")]:
        assert tags[base, "verb"] == tags[gerund, "verb"]
    # one word finds one tag, and "taping" is not of "tap"
    assert ("fishing", "noun") in tags and ("fishing", "verb") not in tags
    assert tags.get(("taping", "verb")) != tags["tap", "verb"]


def _part(row: dict[str, str]) -> str:
    return {"action": "verb", "attribute": "adjective"}.get(row["kind"], "noun")


def _one_tag(row: dict[str, str], tags: dict[tuple[str, str], int]) -> bool:
    a, b = tags.get((row["a"], _part(row))), tags.get((row["b"], _part(row)))
    return a is not None and a == b


def test_what_is_a_kind_of_what() -> None:
    system = starter()
    names = {label.tag_id: label.name for label in system.labels}
    above = {names[tag]: {names[p] for p in over} for tag, over in parents(system).items()}
    assert "animal" in _all_above("dog", above) and "dog" in _all_above("poodle", above)
    assert "vehicle" in _all_above("taxi", above) and "toy car" not in above
    assert not [name for name in above if name in _all_above(name, above)]


def test_what_may_be_a_kind_of_what_is_more() -> None:
    system = starter()
    names = {label.tag_id: label.name for label in system.labels}
    pairs = {(names[tag], names[general]) for tag, general in akin(system)}
    sure = {(tag, over) for tag, above in parents(system).items() for over in above}
    assert ("tortoise", "turtle") in pairs and ("guy", "man") in pairs
    assert ("brick building", "building") in pairs and ("toy car", "car") not in pairs
    assert ("dog", "cat") not in pairs and not [a for a, b in pairs if a == b]
    assert len(pairs) > 3 * len(sure)
    by_head = {(names[tag], names[over]) for tag, over in sure} - pairs
    assert len(by_head) < 0.02 * len(sure), by_head


def _all_above(name: str, above: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    pending = [name]
    while pending:
        for parent in above.get(pending.pop(), set()) - found:
            found.add(parent)
            pending.append(parent)
    return found


def test_the_file_is_what_its_reader_writes() -> None:
    text = (lexicon.DATA / "starter" / "starter.csv").read_text(encoding="utf-8")
    assert to_csv(starter()) == text


def test_every_merge_says_why() -> None:
    system: LabelSystem = starter()
    assert len(system.merges) == len(system.surfaces) - len(system.labels)
    assert all(merge.evidence and 0 < merge.score <= 1 for merge in system.merges)
