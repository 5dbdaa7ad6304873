"""Text label queries: each tag is the mean embedding of a few sentences about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from model.errors import ModelError
from model.minilm import MiniLM, open_minilm
from model.word_pieces import FOLDER

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
        return _digest(FOLDER)

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
            batch = tokenizer.encode_batch(texts[start : start + BATCH])
            mask = torch.tensor([text.attention_mask for text in batch])
            states = network(torch.tensor([text.ids for text in batch]), mask.bool())
            mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            rows.append(torch.nn.functional.normalize(mean, dim=-1).numpy())
        return np.concatenate(rows) if rows else np.zeros((0, self.dim), np.float32)


@lru_cache(maxsize=1)
def _parts() -> tuple[Tokenizer, MiniLM]:
    """Tokenizer and network, loaded once per process."""
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    tokenizer.enable_padding()  # to the longest of a batch; the file says 128 pieces, always
    return tokenizer, open_minilm(FOLDER)


@lru_cache(maxsize=1)
def _digest(folder: Path) -> str:
    sha = hashlib.sha256("\n".join(TEMPLATES).encode())
    for file in sorted(folder.glob("*.safetensors")) + sorted(folder.glob("*.bin")):
        sha.update(file.read_bytes())
    return sha.hexdigest()[:16]
