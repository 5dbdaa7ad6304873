"""RAM's recognition decoder: label queries attend to image tokens; no label sees another."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

CPU_CHUNK = 1024
"""Labels that pass through a layer together on a CPU, so that what they make stays in its cache."""
WORTH_FOLDING = 1 << 20
"""Label states (L * H) from which folding a layer per image pays for itself."""


class DecoderLayer(nn.Module):
    """Cross-attention and feed-forward, each with a residual and a LayerNorm behind it."""

    def __init__(
        self, hidden: int, image_dim: int, feed_forward: int, heads: int, dropout: float,
        attention_dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.heads = heads
        self.attention_dropout = attention_dropout
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(image_dim, hidden)
        self.value = nn.Linear(image_dim, hidden)
        self.output = nn.Linear(hidden, hidden)
        self.norm1 = nn.LayerNorm(hidden, eps=1e-12)
        self.intermediate = nn.Linear(hidden, feed_forward)
        self.dense = nn.Linear(feed_forward, hidden)
        self.norm2 = nn.LayerNorm(hidden, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, labels: Tensor, tokens: Tensor) -> Tensor:
        """Labels (B or 1, L, H) look at tokens (B, T, W); gives (B, L, H).

        The first layer's labels are the same for all images and are projected once (B = 1).
        """
        batch, length, hidden = len(tokens), labels.shape[1], labels.shape[2]
        query = self._split(self.query(labels)).expand(batch, -1, -1, -1)
        attended = nn.functional.scaled_dot_product_attention(
            query, self._split(self.key(tokens)), self._split(self.value(tokens)),
            dropout_p=self.attention_dropout if self.training else 0.0,
        )  # fmt: skip
        joined = attended.transpose(1, 2).reshape(batch, length, hidden)
        states: Tensor = self.norm1(labels + self.dropout(self.output(joined)))
        forward = self.dense(nn.functional.gelu(self.intermediate(states)))
        result: Tensor = self.norm2(states + self.dropout(forward))
        return result

    def _split(self, states: Tensor) -> Tensor:
        batch, length, hidden = states.shape
        return states.view(batch, length, self.heads, hidden // self.heads).transpose(1, 2)


class FoldedLayer:
    """One layer for one image, for inference: query and output projection are folded into it.

    Keys times the query weights, and values times the output weights, are computed once for the
    image's T tokens instead of for each of L labels; with T of 145 and L of 4,585 that is an eighth
    of the layer's arithmetic less, and the same function.
    """

    def __init__(self, layer: DecoderLayer, tokens: Tensor) -> None:
        self.layer = layer
        heads, width = layer.heads, layer.query.out_features // layer.heads
        keys = layer.key(tokens).view(-1, heads, width) / width**0.5
        values = layer.value(tokens).view(-1, heads, width)
        query, output = layer.query.weight.view(heads, width, -1), layer.output.weight
        self.tokens = len(tokens)
        # (heads * T, H): what a label's states are multiplied with to give attention logits.
        self.look = torch.einsum("thd,hdx->htx", keys, query).flatten(0, 1)
        self.bias = torch.einsum("thd,hd->ht", keys, layer.query.bias.view(heads, width)).flatten()
        parts = output.view(-1, heads, width)
        # (heads * T, H): what a token adds to a label that attends to it.
        self.bring = torch.einsum("thd,xhd->htx", values, parts).flatten(0, 1)

    def __call__(self, labels: Tensor) -> Tensor:
        """Label states (L, H) before the layer give those behind it."""
        layer = self.layer
        scores = torch.addmm(self.bias, labels, self.look.T)
        weights = scores.view(-1, self.tokens).softmax(dim=1).view_as(scores)
        attended = torch.addmm(layer.output.bias, weights, self.bring).add_(labels)
        states: Tensor = layer.norm1(attended)
        forward = layer.dense(nn.functional.gelu(layer.intermediate(states))).add_(states)
        result: Tensor = layer.norm2(forward)
        return result


class SharedHead(nn.Linear):
    """One weight vector for all labels (RAM): (B, L, H) to logits (B, L)."""

    def __init__(self, hidden: int) -> None:
        super().__init__(hidden, 1)

    def forward(self, states: Tensor) -> Tensor:
        """Logits without the last dimension."""
        return super().forward(states).squeeze(-1)


class PerLabelHead(nn.Module):
    """A weight vector for each label (Tag2Text, after Query2Label): (B, L, H) to (B, L)."""

    def __init__(self, labels: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(labels, hidden))
        self.bias = nn.Parameter(torch.zeros(labels))

    def forward(self, states: Tensor) -> Tensor:
        """The dot product of each label's state with its own weights."""
        return (states * self.weight).sum(dim=-1) + self.bias


class RecognitionDecoder(nn.Module):
    """Cross-attention layers over label queries, and a head (RAM, figure 3).

    Without self-attention between labels any number of them works, unseen ones included.

    Args:
        text_dim: width of the label queries; they are projected to `hidden` and rectified. None:
            they have the hidden width already and enter as they are (Tag2Text).
        image_dim: width of the image tokens.
        labels: None for one head shared by all labels, else the number of labels with own heads.
        attention_dropout: of the attention's weights, as in BERT; `dropout` is that of its outputs.
    """

    def __init__(
        self, text_dim: int | None, hidden: int, image_dim: int, feed_forward: int, layers: int,
        heads: int, dropout: float, labels: int | None = None, attention_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.wordvec_proj = None if text_dim is None else nn.Linear(text_dim, hidden)
        self.layers = nn.ModuleList(
            DecoderLayer(hidden, image_dim, feed_forward, heads, dropout, attention_dropout)
            for _ in range(layers)
        )
        self.fc = SharedHead(hidden) if labels is None else PerLabelHead(labels, hidden)
        # Starts silent: in the embedded tagger the read-out beside it is right from the first step.
        for parameter in self.fc.parameters():
            nn.init.zeros_(parameter)

    @property
    def silent(self) -> bool:
        """Whether all its logits are 0, as before it has learned."""
        return not any(bool(weight.any()) for weight in self.fc.parameters())

    def states(self, queries: Tensor) -> Tensor:
        """Label queries (L, text_dim) or (B, L, text_dim) as states (1 or B, L, H)."""
        together = queries if queries.ndim == 3 else queries[None]
        return together if self.wordvec_proj is None else torch.relu(self.wordvec_proj(together))

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, L) of queries (L, text_dim), or (B, L, text_dim) per image; tokens (B, T, W).

        Many labels without gradient pass through layers that are folded per image (`FoldedLayer`);
        the results agree within rounding.
        """
        labels = self.states(queries)
        folds = labels.shape[1] * labels.shape[2] >= WORTH_FOLDING
        if folds and not torch.is_grad_enabled() and not self.training:
            return self._infer(labels, tokens)
        for layer in self.layers:
            labels = layer(labels, tokens)
        logits: Tensor = self.fc(labels)
        return logits

    def _infer(self, labels: Tensor, tokens: Tensor) -> Tensor:
        length = labels.shape[1]
        chunk = CPU_CHUNK if tokens.device.type == "cpu" else length
        rows = []
        for number, image in enumerate(tokens):
            layers = [FoldedLayer(cast(DecoderLayer, layer), image) for layer in self.layers]
            own = labels[number if len(labels) > 1 else 0]
            states = torch.empty_like(own)
            for start in range(0, length, chunk):
                part = own[start : start + chunk]
                for layer in layers:
                    part = layer(part)
                states[start : start + chunk] = part
            rows.append(self.fc(states[None])[0])
        return torch.stack(rows) if rows else tokens.new_zeros((0, length))
