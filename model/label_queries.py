"""What the recognition decoder is asked with: one query a label, in three published forms."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from model.errors import CheckpointError, ModelError


class FixedQueries(nn.Module):
    """RAM: one frozen text embedding a label, the same for every image."""

    embedding: Tensor

    def __init__(self, embedding: Tensor) -> None:
        super().__init__()
        self.register_buffer("embedding", embedding)

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return len(self.embedding)

    def forward(self, image: Tensor) -> Tensor:
        """(L, text_dim), whatever the image (B, text_dim) is."""
        return self.embedding


class LearnedQueries(nn.Module):
    """Tag2Text: a learned vector of the decoder's width for each of its fixed classes."""

    def __init__(self, labels: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(labels, hidden) * 0.02)

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return len(self.embedding)

    def forward(self, image: Tensor) -> Tensor:
        """(L, H), whatever the image is."""
        return self.embedding


class DescribedQueries(nn.Module):
    """RAM++: several frozen descriptions a label, weighted by how well each fits the image.

    The weights are softmax(exp(scale) * g . d) over a label's descriptions d, where g is the global
    feature of the image with length 1 and d is as it is stored (RAM++, section 3.3).
    """

    embedding: Tensor

    def __init__(self, embedding: Tensor, labels: int) -> None:
        super().__init__()
        if len(embedding) % labels:
            raise ModelError(
                f"{len(embedding)} descriptions are no equal number for each of {labels} labels"
            )
        self.register_buffer("embedding", embedding)
        self.labels = labels
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, image: Tensor) -> Tensor:
        """Global features (B, text_dim) give queries (B, L, text_dim) of each image's own."""
        unit = image / image.norm(dim=-1, keepdim=True)
        fit = self.scale.exp() * unit @ self.embedding.T
        weights = fit.view(len(image), self.labels, -1).softmax(dim=-1)
        descriptions = self.embedding.view(self.labels, -1, self.embedding.shape[1])
        return torch.einsum("bld,ldx->blx", weights, descriptions)


LabelQueries = FixedQueries | LearnedQueries | DescribedQueries


def check_queries(embedding: Tensor, names: tuple[str, ...] | None = None) -> None:
    """Refuse queries that are zero or no numbers: such labels answer alike for all pictures (#211).

    Raises:
        CheckpointError: names the first of them.
    """
    wrong = (embedding.abs().sum(dim=1) == 0) | ~embedding.isfinite().all(dim=1)
    rows = torch.nonzero(wrong).flatten().tolist()
    if rows:
        per_label = len(embedding) // len(names) if names else 1
        said = ", ".join(names[row // per_label] if names else str(row) for row in rows[:3])
        raise CheckpointError(f"{len(rows)} label queries are zero or not finite: {said}")
