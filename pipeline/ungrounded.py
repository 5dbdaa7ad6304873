"""Candidates without a region: a verdict for each, which keeps it and says why there is none."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from pipeline.columns import constant, table_of

NOT_FOUND = "the detector found no region"
BUDGET = "not looked at: few wrong tags to expect (ground.budget)"
NO_JUDGE = "not looked at: there is no model that has not seen the image"
NO_FEATURES = "not looked at: the picture could not be read when it was encoded"
GONE = "not looked at: the picture cannot be read any more"


def ungrounded(
    candidates: pa.Table, regions: pa.Table, version: str | None, why: Callable[[str, int], str]
) -> pa.Table:
    """Verdicts on the rows of `candidates` (image_id, tag_id) that have none in `regions`.

    `why` tells the reason for an image and a tag.
    """
    missing = candidates.join(
        regions.select(["image_id", "tag_id"]), ["image_id", "tag_id"], join_type="left anti",
        use_threads=False,
    ).sort_by([("image_id", "ascending"), ("tag_id", "ascending")])  # fmt: skip
    pairs = missing.select(["image_id", "tag_id"]).to_pydict()
    count = missing.num_rows
    nothing = [None] * count
    return table_of(
        "verdicts",
        {
            **pairs,
            "label_version": constant(version, count, pa.string()),
            "rule": constant("ungrounded", count, pa.string()),
            "verdict": constant("keep", count, pa.string()),
            "score": nothing,
            "threshold": nothing,
            "reason": [why(*pair) for pair in zip(*pairs.values(), strict=True)],
            "region_id": nothing,
        },
    )
