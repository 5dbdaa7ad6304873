"""Scores of parsers: counted by hand on two captions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parsing.registry import make_parser
from parsing.scoring import KINDS, items_of_graph, items_of_label, score_parses

LABELLED = Path(__file__).parent / "labelled.jsonl"
LABELS = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
DOG = {
    "objects": ["dog", "ball"], "attributes": [["brown", "dog"]],
    "actions": [["chase", "dog", "ball"]], "relations": [["dog", "chase", "ball"]],
}  # fmt: skip
CAT = {"objects": ["cat"], "attributes": [], "actions": [["sleep", "cat", None]], "relations": []}


def test_counts_add_up() -> None:
    wrong = CAT | {"objects": ["cat", "sofa"], "actions": [["sleep", None, None]]}
    rows = score_parses(
        [(items_of_label(DOG), items_of_label(DOG)), (items_of_label(wrong), items_of_label(CAT))]
    )
    by_kind = {row["kind"]: row for row in rows}
    assert tuple(by_kind) == KINDS
    assert by_kind["objects"]["precision"] == pytest.approx(3 / 4)
    assert by_kind["objects"]["recall"] == 1
    assert by_kind["objects"]["F1"] == pytest.approx(6 / 7)
    assert by_kind["actions"]["F1"] == 1
    assert by_kind["actions with ends"]["precision"] == pytest.approx(1 / 2)


def test_a_graph_and_its_label_compare() -> None:
    (graph,) = make_parser("spacy").parse(["A brown dog chases a ball."])
    assert items_of_graph(graph.to_dict()) == items_of_label(DOG)


def test_labels_are_whole() -> None:
    assert len({label["id"] for label in LABELS}) == len(LABELS)
    for label in LABELS:
        assert label["half"] in ("tune", "report") and label["source"] in ("flickr8k", "cc3m-val")
        objects = set(label["objects"])
        ends = {name for _, name in label["attributes"]}
        ends |= {end for _, *two in label["actions"] for end in two if end is not None}
        ends |= {end for one, _, other in label["relations"] for end in (one, other)}
        assert ends <= objects, label["id"]
