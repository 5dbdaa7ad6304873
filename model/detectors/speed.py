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

SIZES = ((640, 480), (480, 640), (640, 480), (200, 150))
TAGS = (1, 10, 60, 30)
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
    """Seconds a picture, parameters, peak memory and the largest difference that company makes."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    network = BACKENDS[backend]()
    rng = np.random.default_rng(seed)
    names = [f"thing {number}" for number in range(max(TAGS))]
    views = [
        View(np.zeros((1, 1), np.float16), size, partial(_noise, size, int(rng.integers(1 << 31))))
        for size in SIZES
    ]
    candidates = [list(range(count)) for count in TAGS]
    started = time.perf_counter()
    together = GroundingDetector(network, names, 1e-3, 4, SIDES).detect(views, candidates)
    seconds = time.perf_counter() - started
    detector = GroundingDetector(network, names, 1e-3, 1, SIDES)
    alone = detector.detect(views[::-1], candidates[::-1])[::-1]
    flat = [[found for of_image in some for found in of_image] for some in (together, alone)]
    alike = [(d.label, d.prompt) for d in flat[0]] == [(d.label, d.prompt) for d in flat[1]]
    apart = [
        float(np.abs(np.subtract(a.box, b.box)).max()) for a, b in zip(*flat, strict=False)
    ]  # fmt: skip
    modules: Any = network
    return {
        "backend": backend,
        "parameters, M": sum(p.numel() for p in modules.network.parameters()) / 1e6,
        "s a picture": seconds / len(SIZES),
        "boxes": len(flat[0]),
        "same boxes alone": alike,
        "farthest apart, pixels": max(apart, default=0.0),
        "peak memory, GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def _noise(size: tuple[int, int], seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)
