"""What a publication teaches: its tags by how likely they are right; some pairs nobody knows."""

from __future__ import annotations

import pyarrow as pa

from pipeline.columns import Floats
from pipeline.dataset import Images, Vocabulary, multi_hot

# A tag counts as much as it is likely to be right; what no rule could judge counts in full.
PUBLISHED = """
    SELECT t.image_id, t.tag_id, 1 - coalesce(max(v.score), 0) AS weight
    FROM tags t
    LEFT JOIN tag_ids f ON f.tag_id = t.tag_id
    LEFT JOIN current_verdicts v ON v.image_id = t.image_id AND v.tag_id = f.made_as
         AND v.label_version = f.label_version AND v.rule = 'agreement' AND NOT isnan(v.score)
    WHERE t.split = 'train'
    GROUP BY t.image_id, t.tag_id
"""
DOUBTED = """
    SELECT c.image_id, c.tag_id FROM candidate_tags c
    ANTI JOIN tags t ON t.image_id = c.image_id AND t.tag_id = c.tag_id
    WHERE c.split = 'train'
    UNION
    SELECT s.image_id, s.tag_id FROM current_tag_scores s
    JOIN current_thresholds h USING (label_version, fold, tag_id)
    ANTI JOIN candidate_tags c ON c.image_id = s.image_id AND c.tag_id = s.tag_id
    WHERE s.score >= h.doubt
"""


def targets_of(
    images: Images, vocabulary: Vocabulary, tags: pa.Table, doubted: pa.Table, unsettled: pa.Table
) -> tuple[Floats, Floats]:
    """Which tags images have (N, L), and how much each pair counts (N, L), 0 where nobody knows.

    `tags` are rows of image_id, tag_id, weight, `doubted` and `unsettled` of image_id, tag_id:
    neither a dropped tag, nor one that the tagger half sees, nor one that captions hardly tell from
    what they say is proof of absence.
    """
    targets = multi_hot(images, vocabulary, tags)
    known = 1.0 - multi_hot(images, vocabulary, doubted)
    known *= 1.0 - targets + multi_hot(images, vocabulary, tags, tags.column("weight"))
    known *= 1.0 - multi_hot(images, vocabulary, unsettled) * (1.0 - targets)
    return targets, known
