"""Opening a tagger: one of a lake, or any other by its kind and path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model.checkpoint import load_tagger
from model.clip import Clip
from model.encoder import encoder_with
from model.image_tagger import ImageTagger, LakeTagger, RamTagger
from model.published import load_converted, load_published, published_labels, save_converted
from model.text import TextEncoder
from model.zero_shot import BlipTagger, ClipTagger
from parsing.label_files import PublishedList
from pipeline.dataset import LABELS, todays_ids, vocabulary_of
from pipeline.errors import PlanError
from pipeline.labels import current_system
from pipeline.models import vocabulary_of_checkpoint
from storage.lake import Lake


@dataclass(frozen=True)
class Wanted:
    """Which tagger, and the files that belong to it.

    Attributes:
        model: role or digest of a model of the lake (None: the one in service), or KIND:PATH.
        names, thresholds: lists aligned with a published `.pth`, which has none inside.
        clip: the CLIP model whose text encoder made the label queries of a published checkpoint.

    Raises:
        PlanError: the model's name is empty, or files are given that it does not read.
    """

    model: str | None = None
    names: Path | None = None
    thresholds: Path | None = None
    clip: Path | None = None

    def __post_init__(self) -> None:
        if self.model is not None and not self.model.strip():
            raise PlanError("--model '': names none; leave it out for the model in service")
        files = {"names": self.names, "thresholds": self.thresholds, "clip": self.clip}
        given = [f"--{name}" for name, file in files.items() if file is not None]
        if given and not (self.model or "").startswith("ram:"):
            raise PlanError(f"{', '.join(given)}: only --model ram:PATH reads such files")


def open_tagger(lake: Path, wanted: Wanted) -> ImageTagger:
    """The tagger that is asked for.

    Raises:
        PlanError: no such model, or a kind that nobody knows.
        ModelError: it cannot be read.
    """
    kind, colon, path = (wanted.model or "").partition(":")
    if not colon:
        return lake_tagger(lake, wanted.model)
    if kind not in TAGGERS:
        raise PlanError(
            f"--model {wanted.model}: unknown kind {kind!r}; choose from: {', '.join(TAGGERS)}"
        )
    return TAGGERS[kind](Path(path), wanted)


def _ram(path: Path, wanted: Wanted) -> ImageTagger:
    text = TextEncoder() if wanted.clip is None else Clip(wanted.clip)
    if wanted.thresholds is not None and wanted.names is None:
        raise PlanError("--thresholds: is aligned with a label list; give it by --names FILE")
    if path.is_dir():
        listed = wanted.names and PublishedList.read(wanted.names, wanted.thresholds)
        model, labels = load_converted(path, listed.names if listed else None)
        if listed and listed.thresholds:
            labels = replace(labels, thresholds=listed.thresholds)
        return RamTagger.of(model, labels, text)
    if wanted.names is None:
        raise PlanError(f"{path}: has no label list inside; give it by --names FILE")
    given = PublishedList.read(wanted.names, wanted.thresholds)
    model = load_published(path, given.names)
    labels = published_labels(model.shape.variant, given.names, given.thresholds)
    return RamTagger.of(model, labels, text)


def _clip(path: Path, wanted: Wanted) -> ImageTagger:
    return ClipTagger(Clip(path))


def _blip(path: Path, wanted: Wanted) -> ImageTagger:
    return BlipTagger.open(path)


TAGGERS: Mapping[str, Callable[[Path, Wanted], ImageTagger]] = {
    "ram": _ram,
    "clip": _clip,
    "blip": _blip,
}
"""Kind -> how a tagger of it is opened by path; `ram` stands for RAM++ and Tag2Text, too."""

# Models of now and the one in service, which may be of an earlier cycle.
_KNOWN = """
    SELECT *, model_digest IN (SELECT model_digest FROM current_models) AS is_current,
           model_digest IN (SELECT model_digest FROM current_promotions) AS in_service
    FROM models WHERE is_current OR in_service
    QUALIFY row_number() OVER (PARTITION BY model_digest, role ORDER BY path) = 1
"""
_MODEL = f"""
    SELECT model_digest, path, role FROM ({_KNOWN})
    WHERE role <> 'captioner'
      AND CASE WHEN $model IS NULL THEN in_service
          ELSE role = $model OR starts_with(model_digest, $model) END
    ORDER BY is_current DESC, fold, model_digest LIMIT 1
"""
# As they were last calibrated with the model's labels.
_CUTS = """
    SELECT tag_id, median(coalesce(tag, generate)) AS cut FROM thresholds
    WHERE work_id = (
        SELECT t.work_id FROM thresholds t JOIN ledger l ON l.work_id = t.work_id
        WHERE t.label_version = $version ORDER BY l.seq DESC LIMIT 1
    )
    GROUP BY tag_id
"""


def lake_tagger(lake: Path, model: str | None) -> LakeTagger:
    """A tagger of the lake, with the thresholds that were calibrated on held-out scores.

    A threshold is the median over the folds, each of which was set by the other folds' scores; it
    has none where no image has such a score.

    Raises:
        PlanError: the lake has no such model, or none in service yet.
    """
    with Lake.open(lake, read_only=True) as opened:
        rows = opened.query(_MODEL, {"model": model}).to_pylist()
        if not rows:
            which = "no model in service yet" if model is None else f"no model {model!r}"
            raise PlanError(
                f"{lake}: {which}; `tagwright models list` lists them, `run` makes them"
            )
        tagger, info = load_tagger(opened.path / rows[0]["path"])
        cuts = opened.query(_CUTS, {"version": info.label_version}).to_pylist()
    by_tag = {row["tag_id"]: row["cut"] for row in cuts}
    of_tags = np.array([by_tag.get(tag, 2.0) for tag in info.tag_ids], np.float32)
    thresholds = of_tags if by_tag else None
    columns = tuple((place,) for place in range(len(info.tag_ids)))
    encoder = encoder_with(info.encoder)
    return LakeTagger(tagger, info, encoder, info.tag_names, thresholds, columns)


def of_today(lake: Path, tagger: LakeTagger, names: Sequence[str] | None) -> LakeTagger:
    """A tagger of the lake asked by what its tags are in the label system in use.

    For `names` as that system calls them, or (None) for all of its tags, each once.

    Raises:
        PlanError: for all, and none of them is a tag by now.
    """
    with Lake.open(lake, read_only=True) as opened:
        meant = todays_ids(vocabulary_of_checkpoint(tagger.info), opened.query)
        labels = vocabulary_of(opened.query(LABELS))
    called = dict(zip(labels.tag_ids, labels.names, strict=True))
    if names is not None:
        # What is no tag any more can still be asked for, by the name it was learned under.
        own = zip(meant, tagger.info.tag_names, strict=True)
        return tagger.asked(names, [called.get(tag_id, name) for tag_id, name in own])
    asked = [tag_id for tag_id in dict.fromkeys(meant) if tag_id in called]
    if not asked:
        raise PlanError(
            f"{lake}: none of the {len(meant)} tags of the model is a tag of the label system in "
            "use; ask by --tags, or train a model by `tagwright run`"
        )
    return replace(tagger.of_tags(asked, meant), names=tuple(called[tag_id] for tag_id in asked))


def own_names(lake: Path, names: Sequence[str]) -> list[str]:
    """Names as the lake's label system calls them: "sofa" becomes "couch" where they are one."""
    with Lake.open(lake, read_only=True) as opened:
        system = current_system(opened)
    by_id = {label.tag_id: label.name for label in system.labels}
    found = {
        surface.surface: by_id[surface.tag_id]
        for surface in reversed(system.surfaces)
        if surface.tag_id in by_id
    }
    return [found.get(name.strip().lower(), name) for name in names]


_MODELS = f"""
    SELECT m.model_digest AS model, m.role, m.fold, m.cycle, m.label_version,
           (SELECT max(value) FROM current_metrics e WHERE e.subject = m.model_digest
            AND e.name = 'mAP' AND e.kind = 'all') AS mAP,
           m.in_service
    FROM ({_KNOWN}) m
    ORDER BY m.role, m.fold, m.model_digest
"""


def models_of(lake: Path) -> list[dict[str, Any]]:
    """The models of a lake's cycle and the one in service, with mAP where it was measured."""
    with Lake.open(lake, read_only=True) as opened:
        rows: list[dict[str, Any]] = opened.query(_MODELS).to_pylist()
    return rows


def convert(file: Path, names: Path, thresholds: Path | None, out: Path) -> Path:
    """A published `.pth` as a folder of safetensors and JSON that carries its label list.

    Raises:
        CheckpointError: the file is none, or the lists do not have a line for each label.
    """
    published = PublishedList.read(names, thresholds)
    model = load_published(file, published.names)
    labels = published_labels(model.shape.variant, published.names, published.thresholds)
    return save_converted(model, labels, out)
