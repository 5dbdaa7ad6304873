"""`tagwright tag`: tags of pictures, above their thresholds or of asked names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import UnreadableImage
from model.image_tagger import LakeTagger
from model.images import load_image
from pipeline.taggers import Wanted, open_tagger, own_names

BEST = 10
"""Tags of a picture where nothing says from which score on a tag is given."""


def tag_pictures(
    lake: Path, wanted: Wanted, paths: Sequence[Path], asked: Sequence[str] | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of image, tag, score and whether the label is open (never trained), best first.

    Without `asked` the tags above their calibrated thresholds, or the 10 best of a tagger without
    any; with it all of these names. Also what could not be read and why.
    """
    tagger = open_tagger(lake, wanted)
    if asked is not None:
        if isinstance(tagger, LakeTagger):
            asked = own_names(lake, asked)
        tagger = tagger.asked(list(dict.fromkeys(asked)))
    columns = tagger.columns if isinstance(tagger, LakeTagger) else None
    rows: list[dict[str, Any]] = []
    unread = []
    for path in paths:
        try:
            picture = load_image(path.read_bytes())
        except (OSError, UnreadableImage) as error:
            unread.append(f"{path}: {error}")
            continue
        (scores,) = tagger.score([picture])
        order = np.argsort(-scores, kind="stable")
        if asked is None and tagger.thresholds is not None:
            order = order[(scores > tagger.thresholds)[order]]
        elif asked is None:
            order = order[:BEST]
        rows += [
            {
                "image": str(path), "tag": tagger.names[n], "score": float(scores[n]),
                "open": columns is not None and columns[n] < 0,
            }
            for n in order
        ]  # fmt: skip
    return rows, unread
