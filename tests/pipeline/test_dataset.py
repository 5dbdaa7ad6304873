"""What training reads of captions."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.dataset import CAPTION_TAGS, SAID, images_of
from pipeline.errors import PlanError
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


def test_maps_of_two_encoders_are_told() -> None:
    rows = [
        {"image_id": str(n), "fold_key": n, "positions": p, "channels": 2, "map": bytes(4 * p)}
        for n, p in enumerate((4, 9, 4))
    ]
    with pytest.raises(PlanError, match=r"several encoders.*finish it by"):
        images_of(pa.Table.from_pylist(rows))
    assert images_of(pa.Table.from_pylist(rows[::2])).features.shape == (2, 4, 2)
