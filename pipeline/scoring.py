"""Scores of tag sets against what is known to be in the pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from storage.lake import Lake

# A truth that the label system has no ID for keeps a negative key: it can be missed, never found.
_TRUTH = """
    SELECT DISTINCT t.image_id, t.kind,
           coalesce(s.tag_id, -1 - hash(t.name || '/' || t.kind) % 1000000000)::BIGINT AS tag_id
    FROM current_truth t
    JOIN current_images i USING (image_id)
    LEFT JOIN current_label_surfaces s
      ON s.surface = t.name AND s.kind = t.kind AND s.tag_id IS NOT NULL
    WHERE i.split = 'train'
"""

TAG_SETS = {
    "parsed": "SELECT image_id, tag_id FROM candidate_tags WHERE in_caption AND split = 'train'",
    "+ generated": "SELECT image_id, tag_id FROM candidate_tags WHERE split = 'train'",
    "+ cleaned": "SELECT image_id, tag_id FROM tags WHERE split = 'train'",
}


@dataclass(frozen=True)
class TagScore:
    """Precision and recall of a set of (image, tag) pairs against the truth."""

    tags: int
    right: int
    truth: int

    @property
    def precision(self) -> float:
        """Share of the tags that are true."""
        return self.right / self.tags if self.tags else 0.0

    @property
    def recall(self) -> float:
        """Share of the truth that is tagged."""
        return self.right / self.truth if self.truth else 0.0


def score_tags(lake: Lake, pairs: str) -> TagScore:
    """Score the pairs that a query gives (columns image_id, tag_id)."""
    (row,) = lake.query(
        f"WITH truth AS ({_TRUTH}), pairs AS (SELECT DISTINCT image_id, tag_id FROM ({pairs}) "
        "WHERE image_id IN (SELECT image_id FROM truth)) "
        "SELECT (SELECT count(*) FROM pairs) AS tags, (SELECT count(*) FROM truth) AS truth, "
        "(SELECT count(*) FROM pairs SEMI JOIN truth USING (image_id, tag_id)) AS right"
    ).to_pylist()
    return TagScore(**row)


def score_steps(lake: Lake) -> list[dict[str, Any]]:
    """One row per step of the cycle: what its tags are worth."""
    rows = []
    for step, pairs in TAG_SETS.items():
        score = score_tags(lake, pairs)
        rows.append(
            {"step": step, **asdict(score), "precision": score.precision, "recall": score.recall}
        )
    return rows
