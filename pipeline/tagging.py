"""`tagwright tag`: tags of pictures, from their thresholds on or of asked names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.image_tagger import LakeTagger
from model.memory import keep_freed_memory
from pipeline.pictures import read_pictures
from pipeline.taggers import Wanted, of_today, open_tagger, own_names

BEST = 10
"""Tags of a picture where nothing says from which score on a tag is given."""


def tag_pictures(
    lake: Path, wanted: Wanted, paths: Sequence[str], asked: Sequence[str] | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of image, tag, score and whether the label is open (never trained), best first.

    Without `asked` the tags from their calibrated thresholds on, or the 10 best of a tagger without
    any; with it all of these names. Also what could not be read and why.
    """
    keep_freed_memory()
    tagger = open_tagger(lake, wanted)
    names = None if asked is None else list(dict.fromkeys(asked))
    if isinstance(tagger, LakeTagger):
        names = names and list(dict.fromkeys(own_names(lake, names)))
        tagger = of_today(lake, tagger, names)
    elif names is not None:
        tagger = tagger.asked(names)
    rows: list[dict[str, Any]] = []
    unread: list[str] = []
    for found in read_pictures(paths, unread):
        scores = tagger.score([picture for _, picture in found])
        for (place, _), own in zip(found, scores, strict=True):
            order = np.argsort(-own, kind="stable")
            if asked is None and tagger.thresholds is not None:
                order = order[(own >= tagger.thresholds)[order]]
            elif asked is None:
                order = order[:BEST]
            rows += [
                {
                    "image": paths[place], "tag": tagger.names[n], "score": float(own[n]),
                    "open": n in tagger.open_labels,
                }
                for n in order
            ]  # fmt: skip
    return rows, unread
