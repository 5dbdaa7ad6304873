"""`tagwright models calibrate`: thresholds of RAM by path, from a lake's images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model.image_captioner import GUIDE_THRESHOLD
from model.image_tagger import RamTagger
from model.published import save_converted
from model.thresholds import best_f1_thresholds, precision_thresholds
from pipeline.assess import score_pictures
from pipeline.columns import Floats
from pipeline.dataset import CAPTION_TAGS, LABELS, multi_hot, vocabulary_of, without_features
from pipeline.errors import PlanError
from pipeline.evaluate import TRUTH
from pipeline.stage import Progress
from pipeline.taggers import Wanted, open_tagger, own_names
from storage.lake import Lake


@dataclass(frozen=True)
class Calibrated:
    """A new checkpoint with thresholds, the images they come from, and for how many labels."""

    folder: Path
    images: int
    split: str
    labels: int
    unread: list[str]


def calibrate(
    lake: Path, checkpoint: Path, precision: float | None, out: Path, progress: Progress
) -> Calibrated:
    """Thresholds of best F1, or of a wanted precision, from images that it was not trained on.

    A published model is held against the captions' tags of training images; one that a lake trained
    against its evaluation images, so judge it on others then. Labels that the lake does not know
    keep their threshold.

    Raises:
        PlanError: no images, none of the labels is the lake's, or a precision that is no share.
    """
    if precision is not None and not 0 < precision < 1:
        raise PlanError(f"--precision {precision}: is a share between 0 and 1, such as 0.8")
    tagger = _ram(lake, checkpoint)
    split, tags = "train", CAPTION_TAGS
    if tagger.labels.publication is not None:
        split, tags = "eval", TRUTH
    rows = _images(lake, split)
    with Lake.open(lake, read_only=True) as opened:
        vocabulary = vocabulary_of(opened.query(LABELS))
        pairs = opened.query(tags)
    scores, read, unread = score_pictures(tagger, [row["uri"] for row in rows], progress)
    ids = [rows[place]["image_id"] for place in read]
    truth = multi_hot(without_features(ids), vocabulary, pairs)
    called = own_names(lake, [name.lower() for name in tagger.names])
    columns = [[c for c, own in enumerate(vocabulary.names) if own == name] for name in called]
    known = [place for place, own in enumerate(columns) if own]
    if not known or not ids:
        raise PlanError(f"{lake}: {len(ids)} {split} images, {len(known)} labels that it knows")
    wanted = np.stack([truth[:, columns[place]].max(axis=1) for place in known], axis=1)
    before = tagger.labels.thresholds or (GUIDE_THRESHOLD,) * len(called)
    cuts = np.array(before, np.float32)
    cuts[known] = _cuts(scores[:, known], wanted, precision)
    labels = replace(tagger.labels, thresholds=tuple(cuts.tolist()))
    folder = save_converted(tagger.model, labels, out)
    return Calibrated(folder, len(ids), split, len(known), unread)


def _cuts(scores: Floats, truth: Floats, precision: float | None) -> Floats:
    if precision is None:
        return best_f1_thresholds(scores, truth)
    return precision_thresholds(scores, truth, precision)


def _ram(lake: Path, checkpoint: Path) -> RamTagger:
    if not checkpoint.is_dir():
        raise PlanError(f"{checkpoint}: no converted checkpoint; `tagwright models import` it")
    tagger = open_tagger(lake, Wanted(f"ram:{checkpoint}"))
    assert isinstance(tagger, RamTagger)
    return tagger


def _images(lake: Path, split: str) -> list[dict[str, Any]]:
    with Lake.open(lake, read_only=True) as opened:
        rows: list[dict[str, Any]] = opened.query(
            "SELECT image_id, uri FROM current_images WHERE split = $split "
            "ORDER BY image_id", {"split": split},
        ).to_pylist()  # fmt: skip
    return rows
