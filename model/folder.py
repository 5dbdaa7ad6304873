"""A folder of `weights.safetensors` and `model.json` that is named by the digest of both."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.errors import CheckpointError

_CONTENT, _WEIGHTS = "model.json", "weights.safetensors"


def write_folder(folder: Path, content: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Path:
    """Write both into a new folder within `folder`, whole or not at all; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        ready = {name: value.detach().contiguous() for name, value in weights.items()}
        save_file(ready, temporary / _WEIGHTS)
        (temporary / _CONTENT).write_text(json.dumps(content, sort_keys=True, indent=1))
        target = folder / _digest(temporary)
        if not target.exists():
            temporary.chmod(0o755)
            # Another process may save the same model at this very moment; either copy will do.
            try:
                temporary.rename(target)
            except OSError:
                if not target.exists():
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def read_folder(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Content and weights of a folder that `write_folder` made.

    Raises:
        CheckpointError: it is damaged, was changed, or holds another kind of model.
    """
    try:
        content: dict[str, Any] = json.loads((path / _CONTENT).read_text())
        digest = _digest(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: no readable checkpoint: {error}") from error
    if digest != path.resolve().name:  # "." and links are other names of the folder
        raise CheckpointError(f"{path}: its content has the digest {digest}; it was changed")
    if content.get("kind") != kind:
        raise CheckpointError(f"{path}: holds a {content.get('kind')}, not a {kind}")
    try:
        return content, load_file(path / _WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: no readable checkpoint: {error}") from error


def file_digest(path: Path) -> str:
    """Of a file, or of all files in a folder by their names."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    sha = hashlib.sha256()
    for file in files:
        if file.is_file():
            sha.update(file.relative_to(path).as_posix().encode())
            _add(sha, file)
    return sha.hexdigest()[:16]


def _digest(folder: Path) -> str:
    sha = hashlib.sha256((folder / _CONTENT).read_bytes())
    _add(sha, folder / _WEIGHTS)
    return sha.hexdigest()[:16]


def _add(sha: hashlib._Hash, path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            sha.update(block)
