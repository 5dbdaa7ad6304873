"""What a publication teaches: its tags by how likely they are right; some pairs nobody knows."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Floats
from pipeline.dataset import Images, Vocabulary, multi_hot

# A tag counts as much as it is likely to be right, a merged one by the likeliest of its names; what
# no rule could judge counts in full.
PUBLISHED = """
    SELECT t.image_id, t.tag_id, 1 - coalesce(min(v.score), 0) AS weight
    FROM tags t
    LEFT JOIN tag_ids f ON f.tag_id = t.tag_id
    LEFT JOIN current_verdicts v ON v.image_id = t.image_id AND v.tag_id = f.made_as
         AND v.label_version = f.label_version AND v.rule = 'agreement' AND v.verdict = 'keep'
         AND NOT isnan(v.score)
    WHERE t.split = 'train'
    GROUP BY t.image_id, t.tag_id
"""
DOUBTED = """
    SELECT c.image_id, c.tag_id FROM candidate_tags c
    ANTI JOIN tags t ON t.image_id = c.image_id AND t.tag_id = c.tag_id
    WHERE c.split = 'train'
    UNION
    SELECT s.image_id, f.tag_id FROM current_tag_scores s
    JOIN current_thresholds h USING (label_version, fold, tag_id)
    JOIN tag_ids f ON f.label_version = s.label_version AND f.made_as = s.tag_id
    ANTI JOIN candidate_tags c ON c.image_id = s.image_id AND c.tag_id = f.tag_id
    WHERE s.score >= h.doubt
"""
# What the tags of an older label system are today: where one is several now, `sure` is false.
MEANT = """
    SELECT o.tag_id AS made_as, s.tag_id, bool_or(f.tag_id IS NOT NULL) AS sure
    FROM label_surfaces o
    JOIN current_label_surfaces s ON s.surface = o.surface AND s.kind = o.kind
    LEFT JOIN tag_ids f ON f.label_version = o.label_version AND f.made_as = o.tag_id
    WHERE o.label_version = $version AND o.tag_id IS NOT NULL AND s.tag_id IS NOT NULL
    GROUP BY o.tag_id, s.tag_id
"""


def in_todays_tags(tags: pa.Table, doubted: pa.Table, meant: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows of `PUBLISHED` and `DOUBTED` in the tag IDs of today, by rows of `MEANT`.

    Merged tags follow: one name that was published is enough, whatever is doubted of the others. Of
    a tag that was split nobody knows which of its parts an image has.
    """
    columns = ["image_id", "tag_id"]
    now = tags.rename_columns({"tag_id": "made_as"}).join(meant, "made_as", join_type="inner")
    sure = now.filter(pc.field("sure"))
    weighed = sure.group_by(columns).aggregate([("weight", "max")])
    unsure = now.filter(~pc.field("sure")).select(columns)
    half_seen = doubted.rename_columns({"tag_id": "made_as"}).join(
        meant, "made_as", join_type="inner"
    )
    open_pairs = pa.concat_tables([unsure, half_seen.select(columns)])
    return (
        weighed.rename_columns([*columns, "weight"]),
        open_pairs.join(weighed.select(columns), columns, join_type="left anti"),
    )


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
