"""Scores of parsers against captions labelled by reading: precision, recall and F1 by kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Items = dict[str, frozenset[Any]]
"""What a caption gives, by kind, in a form that compares."""

KINDS = ("objects", "attributes", "actions", "relations", "actions with ends")


def items_of_label(label: Mapping[str, Any]) -> Items:
    """The items of a labelled caption (docs/parser.md): names, pairs and triples."""
    actions = [tuple(action) for action in label["actions"]]
    return {
        "objects": frozenset(label["objects"]),
        "attributes": frozenset(map(tuple, label["attributes"])),
        "actions": frozenset(name for name, _, _ in actions),
        "relations": frozenset(map(tuple, label["relations"])),
        "actions with ends": frozenset(actions),
    }


def items_of_graph(graph: Mapping[str, Any]) -> Items:
    """The items of a scene graph in the form of `SceneGraph.to_dict`."""
    actions = [(a["name"], a["subject"], a["object"]) for a in graph["actions"]]
    return {
        "objects": frozenset(o["name"] for o in graph["objects"]),
        "attributes": frozenset((a["name"], a["object"]) for a in graph["attributes"]),
        "actions": frozenset(name for name, _, _ in actions),
        "relations": frozenset((r["subject"], r["name"], r["object"]) for r in graph["relations"]),
        "actions with ends": frozenset(actions),
    }


def score_parses(pairs: Iterable[tuple[Items, Items]]) -> list[dict[str, Any]]:
    """Micro-averaged over captions: one row per kind, from pairs (found, wanted)."""
    counts = {kind: [0, 0, 0] for kind in KINDS}
    for found, wanted in pairs:
        for kind, count in counts.items():
            hits = len(found[kind] & wanted[kind])
            count[0] += hits
            count[1] += len(found[kind])
            count[2] += len(wanted[kind])
    return [
        {"kind": kind, "wanted": wanted, "found": found, "precision": hits / max(1, found),
         "recall": hits / max(1, wanted), "F1": 2 * hits / max(1, found + wanted)}
        for kind, (hits, found, wanted) in counts.items()
    ]  # fmt: skip
