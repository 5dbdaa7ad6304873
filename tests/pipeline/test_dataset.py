"""What training reads of captions."""

from __future__ import annotations

from pathlib import Path

from pipeline.dataset import CAPTION_TAGS, SAID
from storage.lake import Lake


def test_tags_of_captions_are_the_candidates_that_captions_give(demo: Path) -> None:
    with Lake.open(demo / "lake", read_only=True) as lake:
        for found, wanted in (
            (f"SELECT image_id, tag_id, split FROM ({SAID})",
             "SELECT image_id, tag_id, split FROM candidate_tags WHERE in_caption"),
            (CAPTION_TAGS,
             "SELECT image_id, tag_id FROM candidate_tags WHERE in_caption AND split = 'train'"),
        ):  # fmt: skip
            pairs, candidates = (lake.query(sql + " ORDER BY ALL") for sql in (found, wanted))
            assert pairs.num_rows and pairs.equals(candidates)
