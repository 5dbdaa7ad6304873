"""What both Grounding-DINO backends share: from pictures and tags to scored boxes.

A box scores for a tag what its surest word piece scores, over the tag's own pieces only: no phrase
is decoded, so "cat" is not found in "cattle" and no labels merge. Boxes of a tag that
overlap are thinned per tag. Only pictures of one shape with prompts padded to one length share a
batch: sides are rounded and texts padded whatever is beside them. On a CPU, where company saves
nothing, each is computed alone, so that neither the size of a batch nor its order changes a box;
elsewhere sums end in other last digits, which decide among boxes of nearly the same score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor
from torchvision.ops import nms
from torchvision.transforms.v2.functional import pil_to_tensor

from model.detectors.base import Detection, View
from model.detectors.prompts import MOST_PIECES, Prompt, fits, pack
from model.encoder import MEAN, STD

SHORTER, LONGER = 800, 1333
"""Sides of the picture that the published models look at, in pixels."""
MULTIPLE = 32
"""Sides are rounded to it, so that pictures of nearly one shape share a batch."""
OVERLAP = 0.7
"""IoU above which the less sure box of a tag goes."""
MAX_BOXES = 3
"""Per tag."""
WAITING = 32
"""Pictures that wait for company: 13 MB each."""
DECIMALS = 4
"""Of scores; beyond them are the sums' own orders."""


class Network(Protocol):
    """A Grounding-DINO network, on the device where it computes."""

    device: torch.device

    def __call__(self, pixels: Tensor, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Logits (B, Q, T) and boxes (B, Q, 4), centre and size relative to the picture.

        `pixels` is (B, 3, H, W), normalised; `texts` are B prompts.
        """


class GroundingDetector:
    """Boxes from a network that reads prompts."""

    def __init__(
        self, network: Network, names: Sequence[str], threshold: float, batch: int,
        sides: tuple[int, int] = (SHORTER, LONGER),
    ) -> None:  # fmt: skip
        self.network, self.names, self.threshold = network, tuple(names), threshold
        self.batch, self.sides = 1 if network.device.type == "cpu" else batch, sides

    def detect(
        self, views: Sequence[View], candidates: Sequence[Sequence[int]]
    ) -> list[list[Detection]]:
        """At most three boxes per candidate; see `Detector.detect`."""
        waiting: dict[tuple[int, int, int], list[tuple[int, Tensor, Prompt]]] = {}
        found: list[list[Detection]] = [[] for _ in views]
        for row, (view, labels) in enumerate(zip(views, candidates, strict=True)):
            prompts = pack(labels, self.names)
            picture = view.picture() if prompts else None
            if picture is None:
                continue
            pixels = prepare(picture, self.sides)
            for prompt in prompts:
                shape = (pixels.shape[1], pixels.shape[2], prompt.padded)
                group = waiting.setdefault(shape, [])
                group.append((row, pixels, prompt))
                if len(group) == self.batch:
                    self._look(waiting.pop(shape), views, found)
            while len({row for group in waiting.values() for row, _, _ in group}) > WAITING:
                fullest = max(waiting, key=lambda shape: len(waiting[shape]))
                self._look(waiting.pop(fullest), views, found)
        for group in waiting.values():
            self._look(group, views, found)
        for detections in found:
            detections.sort(key=lambda d: (d.label, -d.score, d.box))
        return found

    def refuses(self, label: int) -> str | None:
        """See `Detector.refuses`."""
        if fits(self.names[label]):
            return None
        return f"not looked for: no prompt of {MOST_PIECES} word pieces can hold the tag's name"

    @torch.inference_mode()
    def _look(
        self, group: Sequence[tuple[int, Tensor, Prompt]], views: Sequence[View],
        found: list[list[Detection]],
    ) -> None:  # fmt: skip
        pixels = torch.stack([pixels for _, pixels, _ in group])
        answer = self.network(
            pixels.to(self.network.device), [prompt.text for _, _, prompt in group]
        )
        logits, boxes = (part.cpu() for part in answer)
        for (row, _, prompt), of_image, where in zip(group, logits, boxes, strict=True):
            corners = to_pixels(where, views[row].size)
            for label, (first, last) in prompt.spans.items():
                scores = of_image[:, first:last].amax(dim=1).sigmoid().round(decimals=DECIMALS)
                for place in self._best(scores, corners):
                    x1, y1, x2, y2 = corners[place].tolist()
                    score = float(scores[place])
                    found[row].append(Detection(label, (x1, y1, x2, y2), score, prompt.text))

    def _best(self, scores: Tensor, corners: Tensor) -> list[int]:
        sure = torch.nonzero(scores >= self.threshold).flatten().tolist()
        # Queries come in an order that the last digits decide; equal scores go by place instead.
        sure.sort(key=lambda place: (-float(scores[place]), corners[place].round().tolist()))
        falling = torch.arange(len(sure), 0, -1, dtype=torch.float32)
        kept = nms(corners[sure], falling, OVERLAP)[:MAX_BOXES]
        return [sure[place] for place in kept.tolist()]


def prepare(picture: Image.Image, sides: tuple[int, int]) -> Tensor:
    """(3, H, W): the shorter side as asked unless the longer would exceed its limit; normalised."""
    shorter, longer = sides
    width, height = picture.size
    scale = min(shorter / min(width, height), longer / max(width, height))
    size = [
        min(max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE), longer)
        for side in (width, height)
    ]
    resized = picture.convert("RGB").resize((size[0], size[1]), Image.Resampling.BILINEAR)
    mean, std = (torch.tensor(three)[:, None, None] for three in (MEAN, STD))
    pixels: Tensor = (pil_to_tensor(resized).float() / 255 - mean) / std
    return pixels


def to_pixels(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Centres and sizes (Q, 4), relative, as xyxy in pixels within the picture."""
    centre, extent = boxes[:, :2], boxes[:, 2:]
    corners = torch.cat([centre - extent / 2, centre + extent / 2], dim=1).clamp(0, 1)
    return corners * torch.tensor([*size, *size])
