"""Checkpoints: a folder with `weights.safetensors` and `model.json`, named by its digest."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from model.captioner import Captioner
from model.errors import CheckpointError
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
    text = json.dumps(content, sort_keys=True, indent=1)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        weights = {name: value.contiguous() for name, value in model.state_dict().items()}
        save_file(weights, temporary / "weights.safetensors")
        (temporary / "model.json").write_text(text)
        digest = _digest(temporary)
        if not (folder / digest).exists():
            temporary.chmod(0o755)
            # Another process may save the same model at this very moment; either copy will do.
            try:
                temporary.rename(folder / digest)
            except OSError:
                if not (folder / digest).exists():
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return digest


def load_tagger(path: Path, encoder: str | None = None) -> tuple[Tagger, CheckpointInfo]:
    """A tagger and what its checkpoint says.

    Raises:
        CheckpointError: it is damaged, no tagger, or made for another encoder than `encoder`.
    """
    content, info = _read(path, "tagger", encoder)
    weights = load_file(path / "weights.safetensors")
    tagger = Tagger(queries=torch.zeros_like(weights["queries"]), **content["shape"])
    tagger.load_state_dict(weights)
    _check_labels(tagger.queries, info)
    return tagger.eval(), info


def load_captioner(path: Path, encoder: str | None = None) -> tuple[Captioner, CheckpointInfo]:
    """A captioner and what its checkpoint says; errors as for `load_tagger`."""
    content, info = _read(path, "captioner", encoder)
    weights = load_file(path / "weights.safetensors")
    captioner = Captioner(
        queries=torch.zeros_like(weights["queries"]), pieces=content["pieces"], **content["shape"]
    )
    captioner.load_state_dict(weights)
    return captioner.eval(), info


def _read(path: Path, kind: str, encoder: str | None) -> tuple[dict[str, Any], CheckpointInfo]:
    try:
        content = json.loads((path / "model.json").read_text())
        digest = _digest(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: no readable checkpoint: {error}") from error
    if digest != path.name:
        raise CheckpointError(f"{path}: its content has the digest {digest}; it was changed")
    if content["kind"] != kind:
        raise CheckpointError(f"{path}: holds a {content['kind']}, not a {kind}")
    fields: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in content["info"].items()
    }
    info = CheckpointInfo(**fields)
    if encoder is not None and info.encoder != encoder:
        raise CheckpointError(
            f"{path}: trained on features of encoder {info.encoder}, not {encoder}; train it anew"
        )
    return content, info


def _check_labels(queries: torch.Tensor, info: CheckpointInfo) -> None:
    if len(queries) != len(info.tag_ids):
        raise CheckpointError(f"{len(queries)} label queries for {len(info.tag_ids)} labels")
    silent = torch.nonzero(queries.abs().sum(dim=1) == 0).flatten().tolist()
    if silent:
        names = ", ".join(info.tag_names[row] for row in silent[:3])
        raise CheckpointError(f"label queries of {len(silent)} labels are zero: {names}")


def _digest(folder: Path) -> str:
    sha = hashlib.sha256((folder / "model.json").read_bytes())
    sha.update((folder / "weights.safetensors").read_bytes())
    return sha.hexdigest()[:16]
