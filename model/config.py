"""What training depends on; light, so that reading a config loads no network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError


def _divides_hidden(heads: int, info: ValidationInfo) -> int:
    hidden = info.data.get("hidden")
    if hidden is not None and hidden % heads:
        raise PydanticCustomError(
            "heads", "{hidden} (hidden) cannot be cut into so many heads", {"hidden": hidden}
        )
    return heads


# Of the field before it, `hidden`, each head gets the same part.
Heads = Annotated[int, Field(ge=1, validate_default=True), AfterValidator(_divides_hidden)]


class TrainConfig(BaseModel):
    """The recipe of a tagger; the defaults are for a thousand images on two CPU cores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int = Field(128, ge=8, description="width of the recognition decoder")
    layers: int = Field(2, ge=1, description="cross-attention layers, 2 as in RAM")
    heads: Heads = Field(4, description="attention heads, 4 as in RAM")
    dropout: float = Field(0.1, ge=0, lt=1)
    holdout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="share of a new tagger's images that choose penalty and mixture; 0: none do",
    )
    encoder_epochs: int = Field(
        4, ge=0, description="most passes in which the encoder's last blocks learn; 0: published"
    )
    encoder_pictures: int = Field(
        2400, ge=1, description="about so many they look at, each once at least: passes of many"
    )
    encoder_blocks: int = Field(
        5, ge=1, description="how many of the encoder's last blocks learn, its head among them"
    )
    encoder_lr: float = Field(3e-4, gt=0)
    encoder_batch: int = Field(8, ge=1, description="images per step of the last blocks")
    encoder_places: float = Field(
        2.0, ge=0, description="weight of what places show beside what images show; 0: none"
    )
    encoder_mix: float = Field(
        0.0, ge=0, description="mixup of a step's images, alpha of its Beta distribution; 0: none"
    )
    encoder_average: float = Field(
        1.0, ge=0, le=1, description="from which share of the steps on weights are averaged; 1: not"
    )
    readout_epochs: int = Field(10, ge=0, description="passes of the per-label read-out alone")
    readout_lr: float = Field(5e-4, gt=0)
    readout_decay: float = Field(1.0, ge=0, description="weight decay of the read-out")
    readout_dropout: float = Field(0.5, ge=0, lt=1, description="on the pooled features")
    epochs: int = Field(1, ge=0, description="passes of the decoder beside it")
    lr: float = Field(3e-4, gt=0)
    decay: float = Field(0.05, ge=0, description="weight decay of the decoder")
    batch: int = Field(64, ge=1)
    labels_per_step: int = Field(
        160, ge=1, description="labels that the decoder sees per step, drawn at random"
    )
    gamma_neg: float = Field(0.0, ge=0, description="focusing of negatives (asymmetric loss)")
    gamma_pos: float = Field(0.0, ge=0, description="focusing of positives")
    clip: float = Field(0.0, ge=0, lt=1, description="shift of negative probabilities")
    warmup: float = Field(0.1, ge=0, le=1, description="share of steps until the full rate")
    clip_norm: float = Field(5.0, gt=0, description="gradient norm limit")


class CaptionerConfig(BaseModel):
    """The recipe of a tag-guided captioner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int = Field(192, ge=8)
    layers: int = Field(2, ge=1)
    heads: Heads = 4
    dropout: float = Field(0.1, ge=0, lt=1)
    epochs: int = Field(8, ge=0)
    lr: float = Field(2e-3, gt=0)
    batch: int = Field(64, ge=1)
    max_pieces: int = Field(40, ge=4, description="word pieces of a caption, as in RAM")
    smoothing: float = Field(0.1, ge=0, lt=1, description="label smoothing, as in RAM")
    tag_dropout: float = Field(0.2, ge=0, lt=1, description="tags left out in training")
    max_steps: int = Field(150, ge=1, description="training stops after so many steps")


class FitConfig(BaseModel):
    """How RAM is trained end to end; the defaults are RAM's own pretraining."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: Literal["swin_b", "swin_l"] = Field("swin_l", description="the image encoder")
    captions: bool = Field(True, description="train the captioner beside the tagger")
    image_size: int = Field(224, ge=32, description="pixels on a side; the window follows it")
    epochs: int = Field(5, ge=1)
    batch: int = Field(52, ge=1, description="images per process and forward pass")
    accumulate: int = Field(1, ge=1, description="forward passes per step")
    lr: float = Field(1e-4, gt=0)
    lr_floor: float = Field(5e-7, ge=0, description="where warm-up starts and decay ends")
    warmup_steps: int = Field(3000, ge=0)
    schedule: Literal["epochs", "cosine"] = Field(
        "epochs", description="the rate falls by a tenth an epoch, or by half a cosine to zero"
    )
    weight_decay: float = Field(0.05, ge=0)
    clip_norm: float | None = Field(None, gt=0, description="gradient norm limit; none published")
    bf16: bool = Field(False, description="autocast to bfloat16, for GPUs")
    gradient_checkpointing: bool = Field(False, description="compute activations twice, keep few")
    compile: bool = Field(False, description="torch.compile the network")
    loaders: int = Field(0, ge=0, description="processes that read pictures; 0 reads in the loop")
    save_every: int = Field(1000, ge=1, description="steps between checkpoints to resume from")
    seed: int = Field(0, ge=0)


PRESETS: dict[str, FitConfig] = {
    "swin_b_4m": FitConfig(encoder="swin_b", batch=80),
    "swin_l_14m": FitConfig(encoder="swin_l", batch=52),
    "finetune": FitConfig(
        encoder="swin_l", image_size=384, epochs=2, batch=26, lr=5e-6, warmup_steps=0,
        schedule="cosine", lr_floor=0.0,
    ),
}  # fmt: skip
"""The papers' settings, for 8 GPUs; `embedded` is trained by the cycle (`TrainConfig`)."""
