"""Scores of tag sets against what is known to be in the pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pipeline.dataset import CAPTION_TAGS
from storage.lake import Lake

_SAME_KIND = (
    "(s.kind = {t}.kind OR (s.kind IN ('object', 'scene') AND {t}.kind IN ('object', 'scene')))"
)
# Every true thing of a training image with every tag ID that names it: its own name or a synonym.
# Places are things or scenes, as the parser sees them. `tag_id` is null where no tag names it.
TRUTH = f"""
    SELECT t.image_id, t.name, t.kind, s.tag_id
    FROM current_truth t
    JOIN current_images i USING (image_id)
    LEFT JOIN current_label_surfaces s
      ON (s.surface = t.name OR list_contains(t.synonyms, s.surface))
     AND {_SAME_KIND.format(t="t")}
     AND s.tag_id IS NOT NULL
    WHERE i.split = 'train'
"""
# Tags that are neither right nor wrong, such as the colour of a man's shirt: not to be judged.
UNCLEAR = f"""
    SELECT DISTINCT u.image_id, s.tag_id
    FROM current_unclear u
    JOIN current_label_surfaces s
      ON s.surface = u.name AND s.tag_id IS NOT NULL AND {_SAME_KIND.format(t="u")}
    ANTI JOIN ({TRUTH}) t ON t.image_id = u.image_id AND t.tag_id = s.tag_id
"""

TAG_SETS = {
    "parsed": CAPTION_TAGS,
    "+ generated": "SELECT image_id, tag_id FROM candidate_tags WHERE split = 'train'",
    "+ cleaned": "SELECT image_id, tag_id FROM tags WHERE split = 'train'",
}


@dataclass(frozen=True)
class TagScore:
    """Precision and recall of a set of (image, tag) pairs against the truth.

    `tags` are those that are right or wrong.
    """

    tags: int
    right: int
    truth: int
    found: int

    @property
    def precision(self) -> float:
        """Share of the tags that are true."""
        return self.right / self.tags if self.tags else 0.0

    @property
    def recall(self) -> float:
        """Share of the true things that are tagged."""
        return self.found / self.truth if self.truth else 0.0


def score_tags(lake: Lake, pairs: str) -> TagScore:
    """Score the pairs that a query gives (columns image_id, tag_id)."""
    (row,) = lake.query(
        f"WITH truth AS ({TRUTH}), "
        f"pairs AS (SELECT DISTINCT image_id, tag_id FROM ({pairs}) "
        "WHERE image_id IN (SELECT image_id FROM truth) "
        f"AND (image_id, tag_id) NOT IN ({UNCLEAR})), "
        "hits AS (SELECT t.* FROM truth t SEMI JOIN pairs p "
        "ON p.image_id = t.image_id AND p.tag_id = t.tag_id) "
        "SELECT (SELECT count(*) FROM pairs) AS tags, "
        "(SELECT count(DISTINCT (image_id, tag_id)) FROM hits) AS right, "
        "(SELECT count(DISTINCT (image_id, name, kind)) FROM truth) AS truth, "
        "(SELECT count(DISTINCT (image_id, name, kind)) FROM hits) AS found"
    ).to_pylist()
    return TagScore(**row)


def map_by_role(lake: Lake) -> dict[str, float]:
    """mAP on the evaluation images of each tagger of the cycle and the one in service, by role."""
    rows = lake.query(
        "SELECT role, value FROM current_metrics "
        "WHERE name = 'mAP' AND kind = 'all' AND tag_id IS NULL"
    ).to_pylist()
    return {row["role"]: row["value"] for row in rows}


def score_steps(lake: Lake) -> list[dict[str, Any]]:
    """One row per step of the cycle: what its tags are worth."""
    rows = []
    for step, pairs in TAG_SETS.items():
        score = score_tags(lake, pairs)
        rows.append(
            {"step": step, **asdict(score), "precision": score.precision, "recall": score.recall}
        )
    return rows
