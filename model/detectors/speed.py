"""How long a full-size Grounding-DINO takes here, and whether company moves its boxes."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection

from model.detectors.base import View
from model.detectors.grounding import GroundingDetector, Network
from model.detectors.grounding_dino import GroundingDino
from model.detectors.groundingdino import GroundingDinoPackage, build, published_settings

PICTURES = (
    ((640, 480), 1), ((480, 640), 10), ((640, 480), 60), ((200, 150), 55), ((640, 480), 9),
    ((480, 640), 4), ((200, 150), 3),
)  # fmt: skip
"""Width and height in pixels, and tags; three of them and twice two may share a batch."""
SIDES = (384, 640)
"""Half the published ones: 3 to 4 s a picture instead of 20 to 33 on two cores."""


def _transformers() -> Network:
    return GroundingDino(GroundingDinoForObjectDetection(GroundingDinoConfig()))


def _package() -> Network:
    settings = published_settings("GroundingDINO_SwinT_OGC")
    return GroundingDinoPackage(build(settings, BertConfig()))


BACKENDS: dict[str, Callable[[], Network]] = {
    "grounding-dino": _transformers,
    "groundingdino": _package,
}


def measure(backend: str, *, seed: int, threads: int = 2) -> dict[str, Any]:
    """Seconds a picture, parameters, peak memory, and whether company changes anything.

    Each picture once in a batch with others and once alone, in reverse order.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    network = BACKENDS[backend]()
    rng = np.random.default_rng(seed)
    names = [f"thing {number}" for number in range(max(tags for _, tags in PICTURES))]
    views = [
        View(np.zeros((1, 1), np.float16), size, partial(_noise, size, int(rng.integers(1 << 31))))
        for size, _ in PICTURES
    ]
    candidates = [list(range(tags)) for _, tags in PICTURES]
    started = time.perf_counter()
    together = GroundingDetector(network, names, 1e-3, 4, SIDES).detect(views, candidates)
    seconds = time.perf_counter() - started
    detector = GroundingDetector(network, names, 1e-3, 1, SIDES)
    alone = detector.detect(views[::-1], candidates[::-1])[::-1]
    modules: Any = network
    return {
        "backend": backend,
        "parameters, M": sum(p.numel() for p in modules.network.parameters()) / 1e6,
        "s a picture": seconds / len(PICTURES),
        "boxes": sum(map(len, together)),
        "same boxes and scores alone": together == alone,
        "peak memory, GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def _noise(size: tuple[int, int], seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)
