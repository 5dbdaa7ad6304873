"""RAM's recognition decoder: label queries attend to image tokens; no label sees another."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DecoderLayer(nn.Module):
    """Cross-attention and feed-forward, each with a residual and a LayerNorm behind it."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.intermediate = nn.Linear(hidden, 2 * hidden)
        self.dense = nn.Linear(2 * hidden, hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, labels: Tensor, tokens: Tensor) -> Tensor:
        """Labels (B or 1, L, H) look at tokens (B, T, H); gives (B, L, H).

        The first layer's labels are the same for all images and are projected once (B = 1).
        """
        batch, length, hidden = len(tokens), labels.shape[1], labels.shape[2]
        query = self._split(self.query(labels)).expand(batch, -1, -1, -1)
        attended = nn.functional.scaled_dot_product_attention(
            query, self._split(self.key(tokens)), self._split(self.value(tokens))
        )
        joined = attended.transpose(1, 2).reshape(batch, length, hidden)
        states: Tensor = self.norm1(labels + self.dropout(self.output(joined)))
        forward = self.dense(nn.functional.gelu(self.intermediate(states)))
        result: Tensor = self.norm2(states + self.dropout(forward))
        return result

    def _split(self, states: Tensor) -> Tensor:
        batch, length, hidden = states.shape
        return states.view(batch, length, self.heads, hidden // self.heads).transpose(1, 2)


class RecognitionDecoder(nn.Module):
    """Two layers and one weight vector shared by all labels (RAM, figure 3; FACTS: 768 -> 1).

    Without self-attention between labels any number of them works, unseen ones included.
    """

    def __init__(self, text_dim: int, hidden: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.wordvec_proj = nn.Linear(text_dim, hidden)
        self.layers = nn.ModuleList(DecoderLayer(hidden, heads, dropout) for _ in range(layers))
        self.fc = nn.Linear(hidden, 1)
        # Starts silent: the read-out beside it is right from the first step on.
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Queries (L, text_dim) and tokens (B, T, H) give logits (B, L)."""
        labels = torch.relu(self.wordvec_proj(queries))[None]
        for layer in self.layers:
            labels = layer(labels, tokens)
        logits: Tensor = self.fc(labels).squeeze(-1)
        return logits
