"""What evaluation takes for true."""

from __future__ import annotations

from pathlib import Path

from pipeline.evaluate import TRUTH
from storage.lake import Lake


def test_synonyms_are_as_true_as_the_name(demo: Path) -> None:
    with Lake.open(demo / "lake", read_only=True) as lake:
        true = set(zip(*lake.query(TRUTH).to_pydict().values(), strict=True))
        named = lake.query(
            "SELECT t.image_id, l.tag_id, l.name = t.name AS itself FROM current_truth t "
            "JOIN current_labels l "
            "ON l.kind = t.kind AND (l.name = t.name OR list_contains(t.synonyms, l.name))"
        ).to_pylist()
    assert {(row["image_id"], row["tag_id"]) for row in named} <= true
    assert not all(row["itself"] for row in named)
