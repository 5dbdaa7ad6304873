"""Prompts: an image's own tags as one text, and where each tag stands in it.

Text is lower-case, tags end with a full stop, as Grounding-DINO wants them. A prompt holds at most
256 word pieces, the special ones included; more tags make more prompts, and none is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from model.word_pieces import bert_tokenizer

MOST_PIECES = 256
PADDED = 32
"""Texts are padded to multiples of so many word pieces, whatever stands beside them."""


@dataclass(frozen=True)
class Prompt:
    """A text, the word pieces of each label in it (from, to), and how many there are in all."""

    text: str
    spans: Mapping[int, tuple[int, int]]
    pieces: int

    @property
    def padded(self) -> int:
        """Word pieces with those that only fill it up."""
        return -(-self.pieces // PADDED) * PADDED


def pack(labels: Sequence[int], names: Sequence[str]) -> list[Prompt]:
    """Prompts that hold each label once, sorted by name, so that their order changes nothing.

    `labels` are places in `names`; [CLS] is piece 0 and every name is followed by a full stop. A
    name that does not fit (`fits`) is in none: it cannot be looked for.
    """
    prompts: list[Prompt] = []
    words: list[str] = []
    spans: dict[int, tuple[int, int]] = {}
    used = 2  # [CLS] and [SEP]
    for label in sorted(set(labels), key=lambda place: (names[place], place)):
        name = _clean(names[label])
        length = _length(name)
        if not fits(name):
            continue
        if used + length + 1 > MOST_PIECES:
            prompts.append(Prompt(" ".join(words), spans, used))
            words, spans, used = [], {}, 2
        words.append(f"{name}.")
        spans[label] = (used - 1, used - 1 + length)
        used += length + 1
    if words:
        prompts.append(Prompt(" ".join(words), spans, used))
    return prompts


def fits(name: str) -> bool:
    """Whether a prompt can hold the name: it has word pieces, and not more than a prompt may."""
    return 0 < _length(_clean(name)) <= MOST_PIECES - 3


def tokenize(texts: Sequence[str]) -> Any:
    """Word pieces of bert-base-uncased, padded to a multiple of `PADDED`: input_ids, masks (B, T).

    Of texts that are padded to the same, each gets what it would get alone.
    """
    return bert_tokenizer()(
        list(texts), padding="longest", pad_to_multiple_of=PADDED, return_tensors="pt"
    )


def _clean(name: str) -> str:
    # A full stop or question mark inside a name would end the tag there.
    return " ".join(name.lower().replace(".", " ").replace("?", " ").split())


@lru_cache(maxsize=100_000)
def _length(name: str) -> int:
    return len(bert_tokenizer().tokenize(name))
