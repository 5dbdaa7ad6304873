"""The last blocks of an image encoder: what training adapts to the tags.

The blocks before them know edges and textures, which are the same everywhere; they stay frozen, and
what they make of a picture is stored once. Each tagger owns the rest: learned on the images of its
own folds, it has not seen those that it judges. RAM trains its whole image encoder (section 4).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.products import half_layers
from model.windows import floats

Halves = npt.NDArray[np.float16]


class LastBlocks(nn.Module):
    """Features (B, P, C) of the frozen blocks to feature maps (B, Q, D), positions row by row."""

    def __init__(self, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def split(self, learning: int) -> tuple[LastBlocks, LastBlocks]:
        """All but the last `learning` blocks, and these; they are this one's own, not copies."""
        return LastBlocks(self.blocks[:-learning]), LastBlocks(self.blocks[-learning:])

    def learnable(self) -> list[nn.Parameter]:
        """What training changes: all weights but those of depthwise convolutions.

        These are one in 27, and their gradients would take a quarter of the time.
        """
        return [
            weight
            for part in self.modules()
            if not (isinstance(part, nn.Conv2d) and part.groups > 1)
            for weight in part.parameters(recurse=False)
        ]

    def forward(self, features: Tensor) -> Tensor:
        """A picture's positions are a square."""
        with half_layers():
            maps: Tensor = self.blocks(square(features))
        return maps.float().flatten(2).transpose(1, 2)

    @torch.inference_mode()
    def maps(self, features: Halves) -> Halves:
        """Feature maps (N, Q, D) float16 of features (N, P, C).

        One picture at a time: on a CPU its activations stay in the cache, and company cannot change
        what is made of a picture.
        """
        if not len(features) or not len(self.blocks):
            return features
        # Half at once, and into place: all pictures' maps are most of what a training holds.
        first = self(floats(features[:1])).half().numpy()
        maps = np.empty((len(features), *first.shape[1:]), np.float16)
        maps[:1] = first
        for row in range(1, len(features)):
            maps[row : row + 1] = self(floats(features[row : row + 1])).half().numpy()
        return maps


class Pointwise(nn.Linear):
    """A 1 x 1 convolution (B, C, H, W) to (B, D, H, W) as the product that it is.

    Torch's own takes a slow path on one CPU thread; with channels last in memory nothing is copied.
    """

    @classmethod
    def of(cls, layer: nn.Conv2d) -> Pointwise:
        """The same map, with the same weights."""
        found = cls(layer.in_channels, layer.out_channels)
        with torch.no_grad():
            found.weight.copy_(layer.weight.flatten(1))
            if layer.bias is None:
                found.bias.zero_()
            else:
                found.bias.copy_(layer.bias)
        return found.eval()

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W)."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Halving(nn.Module):
    """A convolution of stride 2 over maps of even sides, as every other place of one of stride 1.

    For training: backwards, torch's own takes a slow path in bfloat16 (84 ms for eight pictures'
    28 x 28 positions of 672 channels; this takes 14, in float32 some 10 more than torch's own).
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        """`layer` pads as TensorFlow does, one place more behind than before, and is changed."""
        super().__init__()
        layer.stride, layer.static_padding = (1, 1), nn.Identity()
        layer.padding = (layer.kernel_size[0] // 2, layer.kernel_size[1] // 2)
        self.layer = layer

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H / 2, W / 2)."""
        dense: Tensor = self.layer(maps)
        return dense[:, :, 1::2, 1::2].contiguous(memory_format=torch.channels_last)


def square(features: Tensor) -> Tensor:
    """(B, P, C) as (B, C, side, side)."""
    side = math.isqrt(features.shape[1])
    shaped = features.transpose(1, 2).reshape(len(features), -1, side, side)
    return shaped.contiguous(memory_format=torch.channels_last)
