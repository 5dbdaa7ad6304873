"""`tagwright models calibrate` and `shortlist`: what RAM by path learns from a lake's images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.image_captioner import GUIDE_THRESHOLD
from model.image_tagger import BATCH, RamTagger
from model.metrics import best_f1_thresholds, precision_thresholds
from model.published import save_converted
from model.shortlist import KEPT, SHARE, Shortlist, fit_shortlist
from pipeline.assess import score_pictures
from pipeline.columns import Floats
from pipeline.dataset import CAPTION_TAGS, LABELS, Images, multi_hot, vocabulary_of
from pipeline.errors import PlanError
from pipeline.evaluate import TRUTH
from pipeline.pictures import read_pictures
from pipeline.stage import Progress
from pipeline.taggers import Wanted, open_tagger, own_names
from storage.lake import Lake

MOST = 4000
"""Images that a shortlist is made from; more make it no better."""


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
        PlanError: no images, or none of the labels is the lake's.
    """
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
    images = Images(ids, np.zeros(len(ids), np.int64), np.zeros((len(ids), 0, 0), np.float16))
    truth = multi_hot(images, vocabulary, pairs)
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


@torch.inference_mode()
def make_shortlist(
    lake: Path, checkpoint: Path, progress: Progress
) -> tuple[Path, Shortlist, list[str]]:
    """A first pass for `tag --shortlist`, written beside the checkpoint's weights.

    It is made from what the network itself says of the lake's training images.

    Raises:
        PlanError: there are no images, or it loses too many tags; nothing is written then.
    """
    tagger = _ram(lake, checkpoint)
    rows = _images(lake, "train")[:MOST]
    tokens: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    groups: list[int] = []
    unread: list[str] = []
    for found in read_pictures([row["uri"] for row in rows], unread):
        pictures = [picture for _, picture in found]
        for start in range(0, len(pictures), BATCH):
            seen = tagger.tokens(pictures[start : start + BATCH])
            tokens.append(seen[:, 0])
            logits.append(tagger.model.logits(seen))
        groups += [rows[place]["fold_key"] for place, _ in found]
        progress(found[-1][0] + 1, len(rows), "images")
    if not groups:
        raise PlanError(f"{lake}: no training image can be read")
    cuts = torch.tensor(tagger.labels.thresholds or (GUIDE_THRESHOLD,) * len(tagger.names))
    made = fit_shortlist(
        torch.cat(tokens), torch.cat(logits), cuts.logit(eps=1e-6), np.array(groups)
    )
    if made.kept < KEPT:
        raise PlanError(
            f"{checkpoint}: a shortlist of {SHARE:.0%} of the labels keeps {made.kept:.2%} of the "
            f"tags on {made.images} images, {KEPT:.1%} is wanted; not written"
        )
    return made.save(checkpoint), made, unread


def _ram(lake: Path, checkpoint: Path) -> RamTagger:
    if not checkpoint.is_dir():
        raise PlanError(f"{checkpoint}: no converted checkpoint; `tagwright models import` it")
    tagger = open_tagger(lake, Wanted(f"ram:{checkpoint}"))
    assert isinstance(tagger, RamTagger)
    return tagger


def _images(lake: Path, split: str) -> list[dict[str, Any]]:
    with Lake.open(lake, read_only=True) as opened:
        rows: list[dict[str, Any]] = opened.query(
            "SELECT image_id, uri, fold_key FROM current_images WHERE split = $split "
            "ORDER BY image_id", {"split": split},
        ).to_pylist()  # fmt: skip
    return rows
