"""Published checkpoints of RAM, RAM++ and Tag2Text: load them, convert them, and load the result.

A `.pth` is a pickle with optimizer state and no names; converted it is a folder with
`weights.safetensors` and `model.json`, named by its digest, that carries its label list along.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.errors import CheckpointError, reason_of
from model.folder import read_folder, write_folder
from model.label_queries import DescribedQueries, FixedQueries, check_queries
from model.published_layout import renamed, resized_table, shape_of
from model.ram import RamShape, RecognizeAnything, Variant
from model.swin import SwinShape
from model.text_networks import TextShape

HEADS, TEXT_HEADS, DESCRIPTIONS = 4, 12, 51
"""Of the published networks; no tensor tells them."""
_TABLE = ".relative_position_bias_table"


@dataclass(frozen=True)
class PublishedLabels:
    """The label list of a checkpoint, in the order of its logits.

    `publication` is the lake's publication that its labels descend from; None: not trained here.
    `silenced` are places of tags that never guide a caption.
    """

    names: tuple[str, ...]
    thresholds: tuple[float, ...] | None = None
    publication: str | None = None
    silenced: tuple[int, ...] = ()

    @property
    def digest(self) -> str:
        """Of the names in order; two lists that differ in one line have different digests."""
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()[:16]


TAG2TEXT_SILENCED = {
    127: "quarter", 2961: "back", 3265: "three", 3338: "four", 3351: "two", 3355: "five",
    3359: "one",
}  # fmt: skip
"""Lines, from 0, of Tag2Text's own list that it blanks: they hurt its captions, its code says."""
TAG2TEXT_THRESHOLD, TAG2TEXT_PEOPLE = 0.68, {"person": 0.7, "man": 0.7, "woman": 0.7}
"""From which Tag2Text gives a tag; no file holds it."""


def published_labels(
    variant: Variant, names: tuple[str, ...], thresholds: tuple[float, ...] | None
) -> PublishedLabels:
    """A label list with what is published about it beside its files.

    Of Tag2Text with its own 3,429 names that is which tags are silenced, and thresholds where none
    are given. Another list keeps all of its tags: the lines would mean others.
    """
    own = variant == "tag2text" and all(
        place < len(names) and names[place] == name for place, name in TAG2TEXT_SILENCED.items()
    )
    if not own:
        return PublishedLabels(names, thresholds)
    cuts = thresholds or tuple(TAG2TEXT_PEOPLE.get(name, TAG2TEXT_THRESHOLD) for name in names)
    return PublishedLabels(names, cuts, silenced=tuple(TAG2TEXT_SILENCED))


def load_published(
    path: Path, names: Sequence[str] | None = None, *, image_size: int | None = None,
    heads: int = HEADS, text_heads: int = TEXT_HEADS, descriptions: int = DESCRIPTIONS,
) -> RecognizeAnything:  # fmt: skip
    """A published `.pth` file as a network in evaluation mode, float32, on the CPU.

    Args:
        names: the label list that belongs to it; only its length can be checked here.
        image_size: another one than it was saved with; windows and their tables are scaled.
        heads, text_heads, descriptions: for networks that differ from the published ones.

    Raises:
        CheckpointError: no such file, not loadable without running code, unexpected or missing
            keys (they are named), wrong sizes, or another number of labels than `names`.
    """
    weights = _read(path)
    try:
        shape = shape_of(weights, heads, text_heads, descriptions)
        if names is not None and len(names) != shape.labels:
            raise CheckpointError(f"{shape.labels} labels, but the list has {len(names)} names")
        state = dict(renamed(weights))
        model = _filled(shape, state, image_size)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        # Sizes are read from the tensors before they can be compared.
        raise CheckpointError(
            f"{path}: weights whose sizes fit no RAM, RAM++ or Tag2Text ({reason_of(error)})"
        ) from error
    if isinstance(model.queries, FixedQueries | DescribedQueries):
        check_queries(model.queries.embedding, tuple(names) if names else None)
    return model


def _read(path: Path) -> dict[str, Tensor]:
    try:
        # The format of before torch 1.6 is no archive that can be mapped.
        content = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except Exception as error:  # torch raises whatever the damage causes
        raise CheckpointError(
            f"{path}: no checkpoint that loads safely ({reason_of(error)}); it has to be whole, "
            "and not packed"
        ) from error
    weights = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()
    ):
        raise CheckpointError(f"{path}: holds no state of a model")
    return {
        key.replace("vision_multi", "tagging_head"): value.float() if value.is_floating_point()
        else value
        for key, value in weights.items()
    }  # fmt: skip


def _filled(shape: RamShape, state: dict[str, Tensor], image_size: int | None) -> RecognizeAnything:
    shape = shape if image_size is None else shape.at(image_size)
    model = RecognizeAnything(shape)
    own = model.state_dict()
    for key in state:
        if key.endswith(_TABLE) and key in own:
            stage = int(key.split(".layers.")[1].split(".")[0])
            state[key] = resized_table(state[key], shape.swin.window_at(stage))
    _settle_shared(model, state)
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    for word, keys in (("missing", missing), ("unexpected", unexpected)):
        if keys:
            raise CheckpointError(f"{word} weights, {len(keys)}: {', '.join(keys[:5])}")
    wrong = [key for key in own if own[key].shape != state[key].shape]
    if wrong:
        key = wrong[0]
        raise CheckpointError(
            f"{len(wrong)} weights of another size: {key} is {tuple(state[key].shape)}, "
            f"{tuple(own[key].shape)} is wanted"
        )
    model.load_state_dict(state)
    return model.eval()


def _settle_shared(model: RecognizeAnything, state: dict[str, Tensor]) -> None:
    """Weights that parts share are those of the recognition decoder and of the embeddings."""
    first: dict[int, str] = {}
    differ = []
    for key, parameter in model.state_dict(keep_vars=True).items():
        kept = first.setdefault(id(parameter), key)
        if kept != key and kept in state:
            if key in state and not torch.equal(state[key], state[kept]):
                differ.append(key)
            state[key] = state[kept]
    if differ:
        warnings.warn(
            f"{len(differ)} weights that are shared differ in the file; the first of each pair is "
            f"used, not {differ[0]}",
            stacklevel=4,
        )


def save_converted(model: RecognizeAnything, labels: PublishedLabels, folder: Path) -> Path:
    """Write network and label list into `folder` under their digest; returns the new folder.

    Raises:
        CheckpointError: there are not as many names, or thresholds, as labels.
    """
    for what, count in (("names", labels.names), ("thresholds", labels.thresholds)):
        if count is not None and len(count) != model.shape.labels:
            raise CheckpointError(
                f"{len(count)} {what} for {model.shape.labels} labels; the list belongs to another "
                "checkpoint"
            )
    content = {"kind": "ram", "shape": asdict(model.shape), **asdict(labels)}
    return write_folder(folder, content | {"label_digest": labels.digest}, _unshared(model))


def load_converted(
    path: Path, names: Sequence[str] | None = None, *, image_size: int | None = None
) -> tuple[RecognizeAnything, PublishedLabels]:
    """What `save_converted` wrote.

    Raises:
        CheckpointError: damaged, changed, or `names` are not the list that it was converted with.
    """
    content, state = read_folder(path, "ram")
    thresholds = content["thresholds"]
    labels = PublishedLabels(
        tuple(content["names"]),
        None if thresholds is None else tuple(thresholds),
        content["publication"],
        tuple(content.get("silenced", ())),
    )
    if names is not None and PublishedLabels(tuple(names)).digest != labels.digest:
        raise CheckpointError(
            f"{path}: another label list than the {len(labels.names)} names it was converted with"
        )
    return _filled(_shape(content["shape"]), state, image_size), labels


def _shape(saved: dict[str, Any]) -> RamShape:
    swin: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in saved["swin"].items()
    }
    text = TextShape(**saved["text"]) if saved["text"] else None
    return RamShape(**{**saved, "swin": SwinShape(**swin), "text": text})


def _unshared(model: RecognizeAnything) -> dict[str, Tensor]:
    """The weights, each once; `_settle_shared` gives shared ones their second names back."""
    seen: set[int] = set()
    weights = {}
    for key, value in model.state_dict(keep_vars=True).items():
        if id(value) not in seen:
            seen.add(id(value))
            weights[key] = value
    return weights
