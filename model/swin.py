"""Swin, RAM's image encoder, through transformers: pixels in, image tokens out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import SwinConfig, SwinModel
from transformers.models.swin.modeling_swin import SwinRelativePositionBias

from model.errors import ModelError

PATCH = 4
"""Pixels on a side of a patch."""


@dataclass(frozen=True)
class SwinShape:
    """What decides the sizes of all tensors of a Swin."""

    image_size: int
    embed_dim: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int
    mlp_ratio: float = 4.0
    drop_path: float = 0.1

    @property
    def dim(self) -> int:
        """Channels of the last stage."""
        return int(self.embed_dim * 2 ** (len(self.depths) - 1))

    def resolution(self, stage: int) -> int:
        """Positions on a side in a stage."""
        return self.image_size // (PATCH << stage)

    def window_at(self, stage: int) -> int:
        """A window is never larger than the picture it looks at."""
        return min(self.window, self.resolution(stage))

    def at(self, image_size: int) -> SwinShape:
        """The same network for another image size: the window keeps its share of the picture.

        Raises:
            ModelError: the window would not be whole, or the stages would not.
        """
        window, rest = divmod(self.window * image_size, self.image_size)
        if rest or window < 1 or image_size % (PATCH * 2 ** (len(self.depths) - 1)):
            raise ModelError(
                f"image size {image_size}: windows of {self.window} at {self.image_size} pixels "
                "do not scale to it; 224 and 384 do for the published networks"
            )
        return SwinShape(
            image_size, self.embed_dim, self.depths, self.heads, window,
            self.mlp_ratio, self.drop_path,
        )  # fmt: skip


SWIN_B = SwinShape(384, 128, (2, 2, 18, 2), (4, 8, 16, 32), 12)
SWIN_L = SwinShape(384, 192, (2, 2, 18, 2), (6, 12, 24, 48), 12)


class SwinEncoder(nn.Module):
    """Swin Transformer (Liu et al. 2021) without its classifier.

    Token 0 is the mean of the normalised tokens, as RAM's decoder and distillation expect it.
    """

    def __init__(self, shape: SwinShape) -> None:
        super().__init__()
        self.shape = shape
        config = SwinConfig(
            image_size=shape.image_size, patch_size=PATCH, embed_dim=shape.embed_dim,
            depths=list(shape.depths), num_heads=list(shape.heads), window_size=shape.window,
            mlp_ratio=shape.mlp_ratio, drop_path_rate=shape.drop_path, layer_norm_eps=1e-5,
        )  # fmt: skip
        self.network = SwinModel(config, add_pooling_layer=False)
        stages: Any = self.network.encoder.layers
        for number, stage in enumerate(stages):
            window = shape.window_at(number)
            if window < shape.window:
                # transformers cuts the window to the picture, but not the table of its places.
                for block in stage.blocks:
                    block.attention.relative_position_bias = SwinRelativePositionBias(
                        shape.heads[number], (window, window)
                    )

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S), normalised, give tokens (B, 1 + P, D); P = (S / 32)^2 for RAM.

        Raises:
            ModelError: the pictures have another size than the network.
        """
        size = self.shape.image_size
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != (3, size, size):
            raise ModelError(
                f"pixels are {tuple(pixels.shape)}, the encoder wants (images, 3, {size}, {size})"
            )
        states: Tensor = self.network(pixel_values=pixels).last_hidden_state
        return torch.cat([states.mean(dim=1, keepdim=True), states], dim=1)
