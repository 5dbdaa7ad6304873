"""`tagwright evaluate`: a tagger's figures on images that its labels do not descend from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.image_tagger import ImageTagger, LakeTagger, RamTagger
from model.label_columns import DEFAULT_THRESHOLD
from model.metrics import evaluate_scores, intervals
from pipeline.benchmarks import read_benchmark
from pipeline.columns import Floats
from pipeline.dataset import (
    EVAL_FEATURES,
    LABELS,
    images_of,
    multi_hot,
    todays_ids,
    vocabulary_of,
    without_features,
)
from pipeline.errors import PlanError, SourceError
from pipeline.evaluate import TRUTH
from pipeline.models import vocabulary_of_checkpoint
from pipeline.pictures import read_pictures
from pipeline.stage import Progress
from pipeline.taggers import Wanted, of_today, open_tagger, own_names
from storage.lake import Lake

Flags = npt.NDArray[np.bool_]
# What captions that nobody has parsed yet say of an image is not known.
_EVAL_IMAGES = """
    SELECT image_id, uri FROM current_images
    WHERE split = 'eval'
      AND (image_id IN (SELECT image_id FROM current_truth)
           OR shard_id IN (SELECT unit FROM current_ledger WHERE stage = 'parse'))
    ORDER BY image_id
"""


@dataclass(frozen=True)
class Scored:
    """Scores and truth (N, L) of some images, the tagger's thresholds (L,), what was not read."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    scores: Floats
    truth: Floats
    thresholds: Floats | None
    unread: list[str]


def score_split(lake: Path, tagger: ImageTagger, progress: Progress) -> Scored:
    """A tagger on a lake's frozen evaluation split, over the tags that it knows.

    Raises:
        PlanError: there are no evaluation images, or it knows none of the lake's tags.
        SourceError: labels of the model descend from one of them, or none can be read.
    """
    with Lake.open(lake, read_only=True) as opened:
        images = opened.query(_EVAL_IMAGES).to_pylist()
        if not images:
            raise PlanError(
                f"{lake}: no evaluation images whose captions are parsed; ingest some with "
                "--split eval, then `tagwright run`"
            )
        everything = vocabulary_of(opened.query(LABELS))
        said = opened.query(TRUTH)
        refuse_trained(opened, [row["image_id"] for row in images])
        if isinstance(tagger, LakeTagger):
            meant = todays_ids(vocabulary_of_checkpoint(tagger.info), opened.query)
            stored_by = opened.query("SELECT DISTINCT encoder FROM current_features")[0].to_pylist()
            stored = (
                images_of(opened.query(EVAL_FEATURES)) if stored_by == [tagger.info.encoder]
                else None
            )  # fmt: skip
    if isinstance(tagger, LakeTagger):
        keep = np.isin(everything.tag_ids, meant)
        shared = everything.subset(_some(keep, lake))
        own = tagger.of_tags(shared.tag_ids, meant)
        if stored is not None and stored.ids:
            # What the cycle stored of the images; no picture is opened.
            return Scored(
                shared.names, shared.kinds, own.score_features(stored.features),
                multi_hot(stored, shared, said), own.thresholds, [],
            )  # fmt: skip
        asked: ImageTagger = own
    else:
        listed = {name.lower() for name in tagger.names}
        keep = np.array([not listed or name in listed for name in everything.names], np.bool_)
        shared = everything.subset(_some(keep, lake))
        asked = tagger.asked(shared.names)
    scores, rows, unread = score_pictures(asked, [row["uri"] for row in images], progress)
    if not rows:
        raise SourceError(
            f"{lake}: none of {len(images)} evaluation images can be read, such as {unread[0]}"
        )
    seen = without_features([images[row]["image_id"] for row in rows])
    truth = multi_hot(seen, shared, said)
    return Scored(shared.names, shared.kinds, scores, truth, asked.thresholds, unread)


def _some(known: Flags, lake: Path) -> Flags:
    if not known.any():
        raise PlanError(f"{lake}: the model knows none of its {len(known)} tags")
    return known


def score_benchmark(
    lake: Path | None, tagger: ImageTagger, annotations: Path, names: Path, images: Path,
    progress: Progress,
) -> Scored:  # fmt: skip
    """A tagger on a published benchmark; images that cannot be read are left out and named.

    Raises:
        SourceError: a file is wrong, no image can be read, or `lake` has trained on one of them.
    """
    found = read_benchmark(annotations, names, images)
    if lake is not None:
        with Lake.open(lake, read_only=True) as opened:
            refuse_trained(opened, [_sha(path) for path in found.images])
    wanted = [name.lower() for name in found.names]
    if isinstance(tagger, LakeTagger) and lake is not None:
        asked: ImageTagger = of_today(lake, tagger, own_names(lake, wanted))
    else:
        asked = tagger.asked(wanted)
    scores, rows, unread = score_pictures(asked, [str(path) for path in found.images], progress)
    if not rows:
        raise SourceError(
            f"{images}: none of {len(found.images)} images can be read; is it the folder?"
        )
    kinds = ("",) * len(found.names)
    return Scored(found.names, kinds, scores, found.truth[rows], asked.thresholds, unread)


def score_pictures(
    tagger: ImageTagger, uris: Sequence[str], progress: Progress
) -> tuple[Floats, list[int], list[str]]:
    """Scores of the readable images, their places in `uris`, and what could not be read."""
    parts = [np.zeros((0, len(tagger.names)), np.float32)]
    rows: list[int] = []
    unread: list[str] = []
    for found in read_pictures(uris, unread):
        parts.append(tagger.score([picture for _, picture in found]))
        rows += [place for place, _ in found]
        progress(rows[-1] + 1, len(uris), "images")
    return np.concatenate(parts), rows, unread


def refuse_trained(lake: Lake, image_ids: Sequence[str]) -> None:
    """No model is judged on images that a lake trains on.

    Raises:
        SourceError: some of them are.
    """
    trained = lake.query(
        "SELECT image_id, name FROM current_images WHERE split = 'train' "
        "AND list_contains($ids, image_id) ORDER BY image_id",
        {"ids": list(image_ids)},
    ).to_pylist()
    if trained:
        raise SourceError(
            f"{len(trained)} of {len(image_ids)} images are training images of {lake.path}, such "
            f"as {trained[0]['name']}: its labels descend from them; evaluate on others"
        )


def _sha(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""  # told later as unreadable


@dataclass(frozen=True)
class Benchmark:
    """The files of a published benchmark: annotations, label list, folder of images."""

    annotations: Path
    names: Path
    images: Path


def assess(
    lake: Path, wanted: Wanted, benchmark: Benchmark | None, threshold: float | None, seed: int,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """The figures of a tagger on a lake's evaluation split, or on a benchmark.

    Thresholds are, in this order: the one that is given, the tagger's own, 0.5.

    Raises:
        PlanError: a threshold that is no probability, and what the scoring raises.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise PlanError(f"--threshold {threshold}: is a probability, from 0 to 1, such as 0.5")
    tagger = open_tagger(lake, wanted)
    if benchmark is None:
        scored = score_split(lake, tagger, progress)
    else:
        scored = score_benchmark(
            lake if _descends(tagger) else None, tagger, benchmark.annotations, benchmark.names,
            benchmark.images, progress,
        )  # fmt: skip
    cuts: Floats | float = DEFAULT_THRESHOLD
    if threshold is not None:
        cuts = threshold
    elif scored.thresholds is not None:
        cuts = scored.thresholds
    return figures(scored, cuts, seed)


def _descends(tagger: ImageTagger) -> bool:
    """Whether its labels come from a lake: the cycle's taggers, and RAM that was trained on one."""
    return isinstance(tagger, LakeTagger) or (
        isinstance(tagger, RamTagger) and tagger.labels.publication is not None
    )


def figures(scored: Scored, thresholds: Floats | float, seed: int) -> dict[str, Any]:
    """Overall, per kind and per tag; overall figures with 95 % intervals over images."""
    found = evaluate_scores(scored.scores, scored.truth, thresholds)
    bounds = intervals(scored.scores, scored.truth, thresholds, seed=seed)
    overall = [
        {"figure": name, "value": value,
         "low": bounds.get(name, (None, None))[0], "high": bounds.get(name, (None, None))[1]}
        for name, value in found.overall.items()
    ]  # fmt: skip
    kinds = []
    for kind in sorted(set(scored.kinds) - {""}):
        chosen = np.array([own == kind for own in scored.kinds])
        cut = thresholds if isinstance(thresholds, float) else thresholds[chosen]
        part = evaluate_scores(scored.scores[:, chosen], scored.truth[:, chosen], cut)
        kinds.append({"kind": kind, **part.overall})
    cuts = np.broadcast_to(np.asarray(thresholds, np.float32), (len(scored.names),))
    tags = [
        {"tag": name, "kind": kind, "positives": int(support), "threshold": float(cut),
         "AP": None if np.isnan(ap) else float(ap)}
        for name, kind, support, cut, ap in zip(
            scored.names, scored.kinds, scored.truth.sum(axis=0), cuts, found.per_class, strict=True
        )
    ]  # fmt: skip
    return {
        "images": len(scored.truth), "unread": scored.unread, "overall": overall, "kinds": kinds,
        "tags": tags,
        "rule": "tags without a positive image are left out of means over tags",
    }  # fmt: skip
