"""Models as rows: saving what training made, loading what a stage needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from model.captioner import Captioner
from model.checkpoint import CheckpointInfo, load_captioner, load_tagger, save_checkpoint
from model.tagger import Tagger
from pipeline.columns import table_of
from pipeline.dataset import Vocabulary
from pipeline.errors import PlanError
from pipeline.stage import Context


@dataclass(frozen=True)
class TrainedBy:
    """Where a model comes from; becomes part of its checkpoint and its row in `models`."""

    role: str
    fold: int
    encoder: str
    config: dict[str, Any]
    seed: int
    publication: str | None = None
    snapshot_id: int | None = None
    parent: str | None = None


def save_model(
    model: Tagger | Captioner, vocabulary: Vocabulary, by: TrainedBy, context: Context
) -> dict[str, Any]:
    """Write a checkpoint under the lake's `models/` and return its row."""
    info = CheckpointInfo(
        role=by.role,
        fold=by.fold,
        label_version=vocabulary.version,
        tag_ids=vocabulary.tag_ids,
        tag_names=vocabulary.names,
        tag_kinds=vocabulary.kinds,
        encoder=by.encoder,
        seed=by.seed,
        publication=by.publication,
        parent=by.parent,
    )
    digest = save_checkpoint(model, info, context.lake / "models")
    return {
        "model_digest": digest, "role": by.role, "cycle": context.cycle, "fold": by.fold,
        "path": str(Path("models") / digest), "label_version": vocabulary.version,
        "encoder": by.encoder, "parent": by.parent, "snapshot_id": by.snapshot_id,
        "config": json.dumps(by.config, sort_keys=True), "seed": by.seed,
        "look": float(model.second.weights[1]) if isinstance(model, Tagger) else None,
    }  # fmt: skip


def model_rows(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows of `models`."""
    return table_of("models", rows)


@dataclass(frozen=True)
class FoldTagger:
    """A tagger with its vocabulary, digest and the fold it has not seen (-1: none)."""

    tagger: Tagger
    vocabulary: Vocabulary
    digest: str
    fold: int


@dataclass(frozen=True)
class FoldCaptioner:
    """A captioner, the tagger through whose blocks it looks, and its digest."""

    captioner: Captioner
    tagger: Tagger
    digest: str


def vocabulary_of_checkpoint(info: CheckpointInfo) -> Vocabulary:
    """The tags a checkpoint knows."""
    return Vocabulary(info.label_version, info.tag_ids, info.tag_names, info.tag_kinds)


def load_taggers(context: Context, role: str) -> dict[int, FoldTagger]:
    """The current taggers of a role, by the fold they have not seen.

    Raises:
        PlanError: no such model was trained yet.
    """
    taggers = {}
    sql = "SELECT model_digest, path, fold FROM current_models WHERE role = $role ORDER BY fold"
    for row in context.query(sql, {"role": role}).to_pylist():
        tagger, info = load_tagger(context.lake / row["path"])
        vocabulary = vocabulary_of_checkpoint(info)
        taggers[row["fold"]] = FoldTagger(tagger, vocabulary, row["model_digest"], row["fold"])
    if not taggers:
        raise PlanError(f"no model of role {role!r} yet; run `tagwright run` first")
    return taggers


def load_service(context: Context) -> FoldTagger | None:
    """The tagger in service, of whatever cycle; none yet, or one that other features are for."""
    for row in context.query(_SERVICE).to_pylist():
        tagger, info = load_tagger(context.lake / row["path"])
        return FoldTagger(tagger, vocabulary_of_checkpoint(info), row["model_digest"], -1)
    return None


def load_captioners(context: Context) -> dict[int, FoldCaptioner]:
    """The current captioners, by the fold they have not seen."""
    rows = context.query(_CAPTIONERS).to_pylist()
    return {
        row["fold"]: FoldCaptioner(
            load_captioner(context.lake / row["path"])[0],
            load_tagger(context.lake / row["looks_through"])[0],
            row["model_digest"],
        )
        for row in rows
    }


_SERVICE = """
    SELECT model_digest, path FROM models
    WHERE model_digest IN (SELECT model_digest FROM current_promotions)
      AND encoder IN (SELECT encoder FROM current_features)
    ORDER BY path LIMIT 1
"""
_CAPTIONERS = """
    SELECT c.fold, c.path, c.model_digest, t.path AS looks_through
    FROM current_models c JOIN current_models t ON t.model_digest = c.parent
    WHERE c.role = 'captioner' ORDER BY c.fold
"""
