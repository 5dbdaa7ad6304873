"""The network of MiniLM (Wang et al. 2020, arXiv:2002.10957): BERT's, of torch's own layers.

transformers has it too, but takes three seconds to import, which every worker would wait for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

_EMBEDDINGS = {
    "words": "word_embeddings", "places": "position_embeddings", "types": "token_type_embeddings",
    "norm": "LayerNorm",
}  # fmt: skip
_LAYER = {
    "self_attn.out_proj": "attention.output.dense", "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense", "linear2": "output.dense", "norm2": "output.LayerNorm",
}  # fmt: skip
"""Our name of a part -> its name in the published weights."""


class MiniLM(nn.Module):
    """Word pieces in, a state for each out; for inference."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, eps = config["hidden_size"], config["layer_norm_eps"]
        self.words = nn.Embedding(config["vocab_size"], width)
        self.places = nn.Embedding(config["max_position_embeddings"], width)
        self.types = nn.Embedding(config["type_vocab_size"], width)
        self.norm = nn.LayerNorm(width, eps=eps)
        layer = nn.TransformerEncoderLayer(
            width, config["num_attention_heads"], config["intermediate_size"], dropout=0.0,
            activation=config["hidden_act"], layer_norm_eps=eps, batch_first=True,
        )  # fmt: skip
        count = config["num_hidden_layers"]
        self.layers = nn.TransformerEncoder(layer, count, enable_nested_tensor=False)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """(B, N, width) states of (B, N) pieces; `mask` (B, N) is true where there is one."""
        places = self.places.weight[: pieces.shape[1]]
        states = self.norm(self.words(pieces) + places + self.types.weight[0])
        found: Tensor = self.layers(states, src_key_padding_mask=~mask)
        return found


def open_minilm(folder: Path) -> MiniLM:
    """The network of a folder with `config.json` and `model.safetensors`."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    published = load_file(folder / "model.safetensors")
    with torch.device("meta"):
        network = MiniLM(config)
    network.load_state_dict(
        {name: _find(published, name) for name in network.state_dict()}, assign=True
    )
    return network.eval()


def _find(published: dict[str, Tensor], name: str) -> Tensor:
    """One of our parameters among the published."""
    part, _, kind = name.rpartition(".")
    if not part.startswith("layers."):
        return published[f"embeddings.{_EMBEDDINGS[part]}.{kind}"]
    _, _, number, inside = name.split(".", 3)
    layer = f"encoder.layer.{number}"
    if inside.startswith("self_attn.in_proj_"):
        kind = inside.removeprefix("self_attn.in_proj_")
        parts = (f"{layer}.attention.self.{one}.{kind}" for one in ("query", "key", "value"))
        return torch.cat([published[one] for one in parts])
    return published[f"{layer}.{_LAYER[inside.rpartition('.')[0]]}.{kind}"]
