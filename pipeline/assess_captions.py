"""`tagwright evaluate --captions`: a captioner's sentences beside those of people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.caption_score import cider, mean_interval
from model.checkpoint import load_captioner, load_tagger
from model.encoder import encoder_with
from model.image_captioner import ImageCaptioner, LakeCaptioner, RamCaptioner
from model.image_tagger import RamTagger
from pipeline.assess import refuse_trained
from pipeline.errors import PlanError
from pipeline.generate import GUIDES
from pipeline.pictures import read_pictures
from pipeline.stage import Progress
from pipeline.taggers import Wanted, open_tagger
from storage.lake import Lake

_SAID = """
    SELECT i.image_id, i.name, i.uri, list(c.text ORDER BY c.caption_id) AS texts
    FROM current_images i JOIN current_captions c USING (image_id)
    WHERE i.split = 'eval' AND c.source = 'original'
    GROUP BY ALL ORDER BY i.image_id
"""
# A captioner and the tagger through whose blocks it looks, of the lowest fold: neither has seen any
# evaluation image.
_PAIR = """
    SELECT c.path AS captioner, t.path AS tagger
    FROM current_models c JOIN current_models t ON t.model_digest = c.parent
    WHERE c.role = 'captioner' AND ($model IS NULL OR $model = 'captioner'
                                    OR starts_with(c.model_digest, $model))
    ORDER BY c.fold, c.model_digest LIMIT 1
"""


def open_captioner(lake: Path, wanted: Wanted) -> ImageCaptioner:
    """A lake's own captioner, or RAM or Tag2Text by path.

    Raises:
        PlanError: there is none, or the kind of model writes no captions.
        ModelError: it cannot be read, or has no captioner.
    """
    if ":" in (wanted.model or ""):
        tagger = open_tagger(lake, wanted)
        if not isinstance(tagger, RamTagger):
            raise PlanError(f"--model {wanted.model}: writes no captions; take ram:PATH")
        return RamCaptioner(tagger)
    with Lake.open(lake, read_only=True) as opened:
        rows = opened.query(_PAIR, {"model": wanted.model}).to_pylist()
        if not rows:
            which = "no captioner yet" if wanted.model is None else f"no captioner {wanted.model!r}"
            raise PlanError(f"{lake}: {which}; `tagwright models list` shows those that are there")
        guide, info = load_tagger(opened.path / rows[0]["tagger"])
        captioner, _ = load_captioner(opened.path / rows[0]["captioner"], info.encoder)
    return LakeCaptioner(guide, captioner, encoder_with(info.encoder), GUIDES)


def assess_captions(lake: Path, wanted: Wanted, seed: int, progress: Progress) -> dict[str, Any]:
    """CIDEr-D on the evaluation images of a lake that people captioned, each and on average.

    Raises:
        PlanError: fewer than two such images.
        SourceError: one of them is trained on.
    """
    captioner = open_captioner(lake, wanted)
    with Lake.open(lake, read_only=True) as opened:
        images = opened.query(_SAID).to_pylist()
        refuse_trained(opened, [row["image_id"] for row in images])
    found: list[tuple[dict[str, Any], str]] = []
    unread: list[str] = []
    for part in read_pictures([row["uri"] for row in images], unread):
        texts = captioner.caption([picture for _, picture in part])
        found += [(images[n], text) for (n, _), text in zip(part, texts, strict=True)]
        progress(part[-1][0] + 1, len(images), "images")
    if len(found) < 2:
        raise PlanError(
            f"{lake}: {len(found)} evaluation images with a human caption can be read; two are "
            "needed; ingest some with --split eval"
        )
    scores = cider([text for _, text in found], [row["texts"] for row, _ in found])
    mean, low, high = mean_interval(scores, seed)
    return {
        "images": len(found), "unread": unread,
        "overall": [{"figure": "CIDEr-D", "value": mean, "low": low, "high": high}],
        "captions": [
            {"image": row["name"], "caption": text, "said": len(row["texts"]), "CIDEr-D": score}
            for (row, text), score in zip(found, scores.tolist(), strict=True)
        ],
        "rule": "n-grams are weighed by these images' own captions; 0 to 10, as the mean of images",
    }  # fmt: skip
