"""`tagwright train`: RAM end to end on a publication of the lake."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.config import FitConfig
from model.feed import Example
from pipeline.errors import PlanError
from pipeline.exporters.base import Samples, tag_names
from pipeline.readers import read_uri
from pipeline.stage import Progress
from storage.lake import Lake

_SIGNS = re.compile(r"[.!\"()*#:;~]")
MOST_WORDS = 30
Progressed = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class PublishedSet:
    """The training images of a publication; pictures stay where they are."""

    publication: str
    names: tuple[str, ...]
    examples: list[Example]


def published_set(path: Path, progress: Progress = lambda *_: None) -> PublishedSet:
    """What the newest publication of a lake says of its training images.

    Labels are read from the lake's Parquet files, so that a relabel moves no picture.

    Raises:
        PlanError: nothing is published yet.
    """
    with Lake.open(path, read_only=True) as lake:
        rows = lake.query("SELECT publication_id, snapshot_id FROM current_publications")
    if not rows.num_rows:
        raise PlanError(f"{path}: nothing is published yet; run `tagwright run` first")
    (newest,) = rows.to_pylist()[-1:]
    with Lake.open(path, read_only=True, snapshot=newest["snapshot_id"]) as lake:
        names = tuple(tag_names(lake))
        examples = [
            Example(
                sample["uri"],
                tuple(tag["line"] for tag in sample["tags"]),
                tuple(plain(caption["text"]) for caption in sample["captions"]),
                tuple(tuple(caption["lines"]) for caption in sample["captions"]),
                sample["image_id"],
            )
            for sample in Samples(lake, ("train",), progress)
        ]
    return PublishedSet(newest["publication_id"], names, examples)


def plain(caption: str) -> str:
    """A caption as RAM was trained on: lower case, without .!"()*#:;~, 30 words."""
    return " ".join(_SIGNS.sub(" ", caption.lower()).split()[:MOST_WORDS])


def train(
    lake: Path,
    config: FitConfig,
    folder: Path,
    *,
    init: Path | None = None,
    clip: Path | None = None,
    progress: Progressed = lambda *_: None,
) -> Path | None:
    """Train RAM on a lake's newest publication; returns the checkpoint's folder.

    Started by `torchrun`, only the first process writes it; the others return None.

    Args:
        folder: for the state to resume from and the finished checkpoint.
        init: a converted checkpoint to start from; labels that it does not know are asked through
            their text queries.
        clip: a CLIP model by path: teacher of the image tokens and encoder of the label queries.
            Without it MiniLM encodes the labels and nothing is distilled.

    Raises:
        PlanError: nothing is published yet.
        CheckpointError: `init` cannot be read.
        ModelError: `clip` holds no CLIP model, or `init` is asked in another width.
        TrainingError: what `fit` says, such as a folder with a run on other data or another start.
    """
    from model.clip import Clip
    from model.fit import fit, is_first
    from model.published import PublishedLabels, save_converted
    from model.start import start_network
    from model.text import TextEncoder

    data = published_set(lake)
    teacher = None if clip is None else Clip(clip)
    queries = (teacher or TextEncoder()).label_queries(data.names)
    model = start_network(config, queries, init)
    examples = data.examples
    if model.captioner is not None:
        examples = [example for example in examples if example.captions]
    fit(
        model, examples, data.names, config, folder, read=read_uri, progress=progress,
        # A checkpoint's folder is named by its content.
        init=None if init is None else init.resolve().name,
        teacher=None if teacher is None else teacher.image_embeddings,
    )  # fmt: skip
    labels = PublishedLabels(data.names, publication=data.publication)
    # Of several processes all have the same weights; one writes them.
    return save_converted(model, labels, folder) if is_first() else None
