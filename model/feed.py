"""The training feed: pictures by path, labels as indices, in an order that a seed decides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from model.errors import TrainingError, UnreadableImage
from model.images import load_image
from model.pixels import Pixels

Read = Callable[[str], bytes]
"""The bytes of an image by its path; raises OSError where there are none."""


def read_file(path: str) -> bytes:
    """An image that is a file of its own."""
    return Path(path).read_bytes()


@dataclass(frozen=True)
class Example:
    """One image: where it lies, its tags, and its captions each with the tags parsed from it.

    `image` names what it shows, such as the digest of its bytes: it may lie elsewhere tomorrow.
    """

    path: str
    tags: tuple[int, ...]
    captions: tuple[str, ...] = ()
    caption_tags: tuple[tuple[int, ...], ...] = ()
    image: str | None = None


@dataclass(frozen=True)
class FeedBatch:
    """What one forward pass sees; guides and captions are empty without captions."""

    pixels: Tensor
    targets: Tensor
    guides: list[list[int]]
    captions: list[str]
    paths: list[str]

    def to(self, device: torch.device) -> FeedBatch:
        """The same with its tensors on a device."""
        return FeedBatch(
            self.pixels.to(device, non_blocking=True), self.targets.to(device, non_blocking=True),
            self.guides, self.captions, self.paths,
        )  # fmt: skip


@dataclass(frozen=True)
class Order:
    """Which image is seen when: shuffled anew each epoch, the same for any number of processes.

    A step sees `batch * accumulate * processes` images; the forward pass k of process r takes the
    (k * processes + r)-th part of it. An epoch's last incomplete step is left out.
    """

    images: int
    batch: int
    accumulate: int
    processes: int
    seed: int

    @property
    def per_step(self) -> int:
        """Images of one step over all processes."""
        return self.batch * self.accumulate * self.processes

    @property
    def steps_per_epoch(self) -> int:
        """Complete steps of an epoch."""
        return self.images // self.per_step

    def passes(self, rank: int, start: int, stop: int) -> Iterator[list[tuple[int, int]]]:
        """(image, seed of its augmentation) of each forward pass of the steps start to stop."""
        epoch, order = -1, torch.empty(0, dtype=torch.long)
        for step in range(start, stop):
            now, within = divmod(step, self.steps_per_epoch)
            if now != epoch:
                epoch = now
                order = torch.randperm(
                    self.images, generator=torch.Generator().manual_seed(mixed(self.seed, epoch))
                )
            part = order[within * self.per_step : (within + 1) * self.per_step].tolist()
            for k in range(self.accumulate):
                place = (k * self.processes + rank) * self.batch
                yield [
                    (image, mixed(self.seed, epoch, image))
                    for image in part[place : place + self.batch]
                ]


def examples_digest(examples: Sequence[Example]) -> str:
    """Of images, tags and captions in their order; where an image lies counts if it has no name."""
    sha = hashlib.sha256()
    for e in examples:
        sha.update(repr((e.image or e.path, e.tags, e.captions, e.caption_tags)).encode())
    return sha.hexdigest()[:16]


def mixed(*numbers: int) -> int:
    """A seed of 63 bits that depends on all the numbers and their order."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8], "big") >> 1


class Feed(Dataset[FeedBatch]):
    """Reads, cuts and stacks the pictures of one forward pass."""

    def __init__(
        self,
        examples: Sequence[Example],
        labels: int,
        pixels: Pixels,
        with_captions: bool,
        read: Read,
    ) -> None:
        self.examples = examples
        self.labels = labels
        self.pixels = pixels
        self.with_captions = with_captions
        self.read = read

    def __len__(self) -> int:
        return len(self.examples)

    def __getitems__(self, chosen: list[tuple[int, int]]) -> FeedBatch:
        """The batch of (image, seed) pairs; one of its captions stands for each image.

        Raises:
            TrainingError: a picture is missing or unreadable; the message names it.
        """
        pixels = torch.empty(len(chosen), 3, self.pixels.size, self.pixels.size)
        targets = torch.zeros(len(chosen), self.labels)
        guides, captions, paths = [], [], []
        for row, (index, seed) in enumerate(chosen):
            example = self.examples[index]
            pixels[row] = self._pixels(example.path, seed)
            targets[row, list(example.tags)] = 1
            paths.append(example.path)
            if self.with_captions:
                said = seed % len(example.captions)
                captions.append(example.captions[said])
                guides.append(list(example.caption_tags[said]))
        return FeedBatch(pixels, targets, guides, captions, paths)

    def _pixels(self, path: str, seed: int) -> Tensor:
        try:
            return self.pixels.augmented(load_image(self.read(path), self.pixels.size), seed)
        except (OSError, UnreadableImage) as error:
            raise TrainingError(
                f"{path}: cannot be read ({error}); bring it back, or publish without it and "
                "start again"
            ) from error


def loader(
    feed: Feed, order: Order, rank: int, start: int, stop: int, loaders: int
) -> DataLoader[FeedBatch]:
    """The batches of steps start to stop for one process, read ahead by `loaders` processes."""
    return DataLoader(
        feed,
        batch_sampler=order.passes(rank, start, stop),
        collate_fn=_same,
        num_workers=loaders,
        multiprocessing_context="spawn" if loaders else None,
        pin_memory=torch.cuda.is_available(),
    )


def _same(batch: Any) -> Any:
    """`Feed` has put the batch together already."""
    return batch
