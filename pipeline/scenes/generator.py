"""Generating captioned scenes with planted truth: pictures, captions, truth and faults."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.scenes.captions import write_caption
from pipeline.scenes.compose import Composer, Scene, Tag
from pipeline.scenes.decks import Quota
from pipeline.scenes.placing import Box
from pipeline.scenes.planting import Plan, Planter
from pipeline.scenes.sprites import index

Split = Literal["train", "eval"]
Style = Literal["noto", "noto-v1", "twemoji", "emojione", "fluent-flat", "fluent-3d"]
SPLITS: tuple[Split, Split] = ("train", "eval")
JPEG_QUALITY = 88

TRUTH = pa.schema(
    [
        ("split", pa.string()),
        ("image", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        *((side, pa.float32()) for side in ("x1", "y1", "x2", "y2")),
        ("in_caption", pa.bool_()),
        ("unclear", pa.bool_()),
    ]
)
FAULTS = pa.schema(
    [(name, pa.string()) for name in ("split", "image", "name", "kind", "fault", "surface")]
)


class SceneConfig(BaseModel):
    """What to generate; the defaults are the standard difficulty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenes: int = Field(default=1000, ge=1, description="training scenes; duplicates come on top")
    eval_scenes: int = Field(
        default=200, ge=0, description="evaluation scenes, with faultless captions"
    )
    seed: int = Field(default=0, ge=0, description="the same config and seed give the same bytes")
    size: int = Field(default=224, ge=64, description="side of the square pictures, in pixels")
    min_objects: int = Field(default=3, ge=1, description="fewest things in a scene")
    max_objects: int = Field(default=8, ge=1, le=8, description="most things in a scene")
    max_occlusion: float = Field(
        default=0.3, ge=0, lt=1, description="largest covered share of a thing's own pixels"
    )
    missing: float = Field(
        default=0.30, ge=0, le=0.6, description="share of true tags not in captions"
    )
    wrong: float = Field(
        default=0.10, ge=0, le=0.4, description="share of captions' tags that are wrong"
    )
    confusable: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of wrong tags that are confusable or co-occurring",
    )
    synonyms: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="share of said objects with a synonym that are called by it",
    )
    homonyms: float | None = Field(
        default=None,
        ge=0,
        le=0.2,
        description="share of drawn things whose name has another sense (bat, mouse); "
        "as the vocabulary has them by default",
    )
    outliers: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of training's things that stand upside down: right, and unlike the rest",
    )
    duplicates: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of scenes copied under another name and caption",
    )
    corrupt: float = Field(
        default=0.0, ge=0, le=1, description="share of scenes whose file is truncated"
    )
    train_styles: tuple[Style, ...] = Field(
        default=("noto", "twemoji", "fluent-flat"),
        min_length=1,
        description="drawing styles for training",
    )
    eval_styles: tuple[Style, ...] = Field(
        default=("fluent-3d", "noto-v1", "emojione"),
        min_length=1,
        description="drawing styles for evaluation, no training ones",
    )

    @model_validator(mode="after")
    def _consistent(self) -> SceneConfig:
        if self.min_objects > self.max_objects:
            raise ValueError("min_objects is larger than max_objects")
        if both := set(self.train_styles) & set(self.eval_styles):
            raise ValueError(f"styles in training and evaluation: {', '.join(sorted(both))}")
        for styles in (self.train_styles, self.eval_styles):
            if not any(len(index()[s]) == max(map(len, index().values())) for s in styles):
                raise ValueError(f"no style of {', '.join(styles)} draws everything")
        return self


@dataclass
class _Split:
    """What has been written of one split."""

    name: Split
    out: Path
    captions: list[tuple[str, str]] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)

    def fault(self, image: str, tag: tuple[str, str], fault: str, surface: str) -> None:
        """Note a planted fault."""
        row = {"split": self.name, "image": image, "name": tag[0], "kind": tag[1]}
        self.faults.append(row | {"fault": fault, "surface": surface})


def generate(
    out: Path, config: SceneConfig, *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write the scenes of `config` into the folder `out`.

    Args:
        out: gets `train/` and `eval/`, each with `images/` and `captions.csv`, and the tables
            `truth.parquet` (what is true, or unclear) and `faults.parquet` (what was planted).
        config: how many, how difficult, how faulty.
        progress: called with the scenes done and their total after each.
    """
    counts: dict[Split, int] = {"train": config.scenes, "eval": config.eval_scenes}
    done, total = 0, sum(counts.values())
    splits = []
    for name in SPLITS:
        split = _Split(name, out / name)
        (split.out / "images").mkdir(parents=True, exist_ok=True)
        for _ in _write_split(split, config, counts[name]):
            done += 1
            if progress:
                progress(done, total)
        with (split.out / "captions.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("image", "caption"), *split.captions])
        splits.append(split)
    truth = [row for split in splits for row in split.truth]
    faults = [row for split in splits for row in split.faults]
    pq.write_table(pa.Table.from_pylist(truth, TRUTH), out / "truth.parquet")
    pq.write_table(pa.Table.from_pylist(faults, FAULTS), out / "faults.parquet")


def _write_split(split: _Split, config: SceneConfig, count: int) -> Iterator[None]:
    train = split.name == "train"
    seed = [config.seed, SPLITS.index(split.name)]
    styles = config.train_styles if train else config.eval_styles
    composer = Composer(
        seed, styles, config.size, config.max_occlusion, config.homonyms,
        config.outliers if train else 0,
    )  # fmt: skip
    planter = Planter(
        seed,
        missing=config.missing if train else 0,
        wrong=config.wrong if train else 0,
        confusable=config.confusable,
        synonyms=config.synonyms if train else 0,
    )
    rng = np.random.default_rng([*seed, 3])
    copies = Quota(config.duplicates if train else 0, rng)
    corrupt = Quota(config.corrupt if train else 0, rng)
    for number in range(count):
        name = f"{split.name}-{number:05d}.jpg"
        own = np.random.default_rng([*seed, 4, number])
        objects = _object_count(config, own)
        scene = composer.compose(number, objects)
        data = _jpeg(scene)
        _write_caption(split, name, scene, planter.plan(scene), own)
        if corrupt.take(1):
            data = data[: int(len(data) * own.uniform(0.2, 0.7))]
            split.fault(name, ("", "image"), "corrupt", "")
        (split.out / "images" / name).write_bytes(data)
        if copies.take(1):
            copy = f"{split.name}-{number:05d}-copy.jpg"
            (split.out / "images" / copy).write_bytes(data)
            _write_caption(split, copy, scene, planter.plan(scene), own)
            split.fault(copy, (name, "image"), "duplicate", "")
        yield


def _object_count(config: SceneConfig, rng: np.random.Generator) -> int:
    """Draw how many things a scene shows: crowded ones are rarer."""
    counts = np.arange(config.min_objects, config.max_objects + 1)
    return int(rng.choice(counts, p=counts**-2.0 / (counts**-2.0).sum()))


def _jpeg(scene: Scene) -> bytes:
    assert scene.image is not None
    buffer = io.BytesIO()
    scene.image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _write_caption(
    split: _Split, image: str, scene: Scene, plan: Plan, rng: np.random.Generator
) -> None:
    caption = write_caption(scene, plan, rng)
    split.captions.append((image, caption.text))
    kept = set(plan.kept)
    for tag, box in _truths(scene):
        row = {"split": split.name, "image": image, "name": tag.name, "kind": tag.kind}
        sides = dict(zip(("x1", "y1", "x2", "y2"), box or (None,) * 4, strict=True))
        split.truth.append(row | sides | {"in_caption": tag in kept, "unclear": False})
    for tag in scene.unclear():
        row = {"split": split.name, "image": image, "name": tag.name, "kind": tag.kind}
        split.truth.append(row | {"in_caption": False, "unclear": True})
    for tag in plan.missing:
        split.fault(image, tag, "missing", "")
    for tag, fault in plan.wrong.items():
        split.fault(image, tag, fault, caption.surfaces[tag])
    for name in plan.synonyms:
        tag = Tag(name, "object")
        split.fault(image, tag, "synonym", caption.surfaces[tag])
    for item in scene.items:
        if item.outlier:
            split.fault(image, Tag(item.thing.name, "object"), "outlier", "")


def _truths(scene: Scene) -> list[tuple[Tag, Box | None]]:
    """List what is true with where it is, a thing that appears twice twice."""
    found: list[tuple[Tag, Box | None]] = []
    for item in scene.items:
        found += [(Tag(name, "object"), item.box) for name in item.objects()]
        found += [(Tag(name, "attribute"), item.box) for name in item.attributes]
        found += [(Tag(item.action.name, "action"), item.box)] if item.action else []
    return [*found, (Tag(scene.place.name, "scene"), None)]
