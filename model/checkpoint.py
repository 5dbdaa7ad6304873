"""Checkpoints: a folder with `weights.safetensors` and `model.json`, named by its digest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from model.captioner import Captioner
from model.errors import CheckpointError
from model.folder import read_folder, write_folder
from model.label_queries import check_queries
from model.tagger import Tagger


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself: its labels in order, and where it comes from."""

    role: str
    fold: int
    label_version: str
    tag_ids: tuple[int, ...]
    tag_names: tuple[str, ...]
    tag_kinds: tuple[str, ...]
    encoder: str
    seed: int
    publication: str | None = None
    parent: str | None = None


def save_checkpoint(model: Tagger | Captioner, info: CheckpointInfo, folder: Path) -> str:
    """Write a checkpoint into `folder` under its digest, whole or not at all; returns the digest.

    Raises:
        CheckpointError: a label query is zero, which would answer alike for everything, or there
            are not as many queries as labels.
    """
    _check_labels(model.queries, info)
    content = {
        "kind": type(model).__name__.lower(),
        "info": asdict(info),
        "shape": model.shape,
        "pieces": model.pieces if isinstance(model, Captioner) else None,
    }
    return write_folder(folder, content, model.state_dict()).name


def load_tagger(path: Path, encoder: str | None = None) -> tuple[Tagger, CheckpointInfo]:
    """A tagger and what its checkpoint says.

    Raises:
        CheckpointError: it is damaged, no tagger, of a version with another network, or made for
            another encoder than `encoder`.
    """
    content, info, weights = _read(path, "tagger", encoder)
    tagger = Tagger(queries=torch.zeros_like(weights["queries"]), **content["shape"])
    _fill(tagger, weights, path)
    _check_labels(tagger.queries, info)
    return tagger.eval(), info


def load_captioner(path: Path, encoder: str | None = None) -> tuple[Captioner, CheckpointInfo]:
    """A captioner and what its checkpoint says; errors as for `load_tagger`."""
    content, info, weights = _read(path, "captioner", encoder)
    captioner = Captioner(
        queries=torch.zeros_like(weights["queries"]), pieces=content["pieces"], **content["shape"]
    )
    _fill(captioner, weights, path)
    return captioner.eval(), info


def _read(
    path: Path, kind: str, encoder: str | None
) -> tuple[dict[str, Any], CheckpointInfo, dict[str, torch.Tensor]]:
    content, weights = read_folder(path, kind)
    fields: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in content["info"].items()
    }
    info = CheckpointInfo(**fields)
    if encoder is not None and info.encoder != encoder:
        raise CheckpointError(
            f"{path}: trained on features of encoder {info.encoder}, not {encoder}; train it anew"
        )
    return content, info, weights


def _fill(model: Tagger | Captioner, weights: dict[str, torch.Tensor], path: Path) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: its weights are of another network than this version's; train it anew"
        ) from error


def _check_labels(queries: torch.Tensor, info: CheckpointInfo) -> None:
    if len(queries) != len(info.tag_ids):
        raise CheckpointError(f"{len(queries)} label queries for {len(info.tag_ids)} labels")
    check_queries(queries, info.tag_names)
