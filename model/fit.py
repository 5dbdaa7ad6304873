"""Training RAM end to end: one loop, the same on one processor and on many GPUs.

Started by `torchrun` it runs in as many processes as that says; otherwise in one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from model.config import FitConfig
from model.errors import TrainingError, reason_of
from model.feed import (
    Example,
    Feed,
    FeedBatch,
    Order,
    Read,
    examples_digest,
    loader,
    mixed,
    read_file,
)
from model.pixels import Pixels
from model.ram import RecognizeAnything

Teacher = Callable[[Tensor], Tensor]
"""Pixels (B, 3, S, S) to CLIP's image embeddings (B, text_dim), not normalised."""
Progress = Callable[[int, int, dict[str, float]], None]
STATE = "training.pt"


@dataclass(frozen=True)
class Curve:
    """The loss of each step, from the first on, those before a resumption included."""

    loss: list[float]
    lr: list[float]


class Objective(nn.Module):
    """The network with its losses as one module, as distributed training wants it."""

    def __init__(
        self, model: RecognizeAnything, names: Sequence[str], teacher: Teacher | None
    ) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.teacher = teacher

    def forward(self, batch: FeedBatch) -> Tensor:
        """The total loss of a batch, a scalar."""
        losses = self.model.losses(
            batch.pixels, batch.targets,
            tags=[[self.names[tag] for tag in row] for row in batch.guides],
            captions=batch.captions,
            teacher=None if self.teacher is None else self.teacher(batch.pixels),
        )  # fmt: skip
        return losses.total


def fit(
    model: RecognizeAnything,
    examples: Sequence[Example],
    names: Sequence[str],
    config: FitConfig,
    folder: Path,
    *,
    init: str | None = None,
    teacher: Teacher | None = None,
    read: Read = read_file,
    progress: Progress = lambda *_: None,
) -> Curve:
    """Train `model` in place; resume from `folder` if a run with the same settings was cut off.

    Every choice depends on seed, step and image alone: a run that was killed and resumed ends with
    the weights of one that was not, and several processes with accumulation 1 do what one does
    with as much accumulation.

    Args:
        examples: what to train on. names: the text of each label, for the captioner's tags.
        folder: where the state to resume from is kept, and replaced every `save_every` steps.
        init: names the checkpoint that `model` comes from; None where it began with random weights.

    Raises:
        TrainingError: too few images for a step, a picture that cannot be read, a loss that is no
            number, a full disk, or a state of other settings, examples, or another start; the last
            state saved stays whole.
    """
    with _processes() as (rank, count, device):
        order = Order(len(examples), config.batch, config.accumulate, count, config.seed)
        if not order.steps_per_epoch:
            raise TrainingError(f"{len(examples)} images; a step needs {order.per_step}")
        total = order.steps_per_epoch * config.epochs
        model.to(device).train()
        if config.gradient_checkpointing:
            network: Any = model.encoder.network
            network.activation_checkpointing_enable()
        optimizer = torch.optim.AdamW(
            [weight for weight in model.parameters() if weight.requires_grad], config.lr,
            weight_decay=config.weight_decay,
        )  # fmt: skip
        curve = Curve([], [])
        settings = _settings(config, order, names) | {
            "examples": examples_digest(examples),
            "init": init,
            "query width": model.shape.text_dim,
            "teacher": teacher is not None,
        }
        start = _resume(folder / STATE, settings, model, optimizer, curve, device)
        objective: Any = Objective(model, names, teacher)
        if config.compile:
            # What sees tensors alone: the losses also read words, which would be compiled anew for
            # each caption.
            model.encoder.compile()
            model.decoder.compile()
        if count > 1:
            objective = DistributedDataParallel(objective)
        feed = Feed(
            examples,
            model.shape.labels,
            Pixels(config.image_size),
            model.captioner is not None,
            read,
        )
        batches = iter(loader(feed, order, rank, start, total, config.loaders))
        for step in range(start, total):
            rate = learning_rate(config, step, order.steps_per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            step_loss = torch.zeros((), device=device)
            for k in range(config.accumulate):
                batch = next(batches).to(device)
                # Dropout depends on the part of the step, not on which process computes it.
                torch.manual_seed(mixed(config.seed, step, k * count + rank))
                last = k == config.accumulate - 1
                with nullcontext() if last or count == 1 else objective.no_sync():
                    with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
                        loss = objective(batch) / config.accumulate
                    _check(loss, step, batch)
                    loss.backward()
                step_loss += loss.detach()
            if config.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            if count > 1:
                distributed.all_reduce(step_loss)
                step_loss /= count
            curve.loss.append(step_loss.item())
            curve.lr.append(rate)
            progress(step + 1, total, {"loss": curve.loss[-1], "lr": rate})
            if is_first() and ((step + 1) % config.save_every == 0 or step + 1 == total):
                _save(folder / STATE, settings, step + 1, model, optimizer, curve)
        model.eval()
        return curve


def is_first() -> bool:
    """Whether this process is the one that writes, of those that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


def learning_rate(config: FitConfig, step: int, steps_per_epoch: int) -> float:
    """Of a step: linear warm-up, then x0.9 an epoch or half a cosine, as RAM's own code."""
    if step < config.warmup_steps:
        return config.lr_floor + (config.lr - config.lr_floor) * step / config.warmup_steps
    if config.schedule == "cosine":
        share = step // steps_per_epoch / config.epochs
        return (config.lr - config.lr_floor) * 0.5 * (1 + math.cos(math.pi * share)) + (
            config.lr_floor
        )
    return max(config.lr_floor, config.lr * 0.9 ** (step // steps_per_epoch))


def _check(loss: Tensor, step: int, batch: FeedBatch) -> None:
    if not loss.isfinite():
        raise TrainingError(
            f"the loss of step {step + 1} is {loss.item()}; its images: "
            f"{', '.join(batch.paths[:3])}; go on from the last state with a smaller lr, a "
            "clip_norm, or without bf16"
        )


@contextmanager
def _processes() -> Iterator[tuple[int, int, torch.device]]:
    """(rank, number, device) of this process, as `torchrun` says."""
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if count == 1:
        yield 0, 1, device
        return
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield rank, count, device
    finally:
        distributed.destroy_process_group()


def _settings(config: FitConfig, order: Order, names: Sequence[str]) -> dict[str, Any]:
    """What must be the same for a run to be resumed."""
    how = config.model_dump(exclude={"save_every", "loaders", "compile"})
    parts = order.accumulate * order.processes
    return how | {"accumulate": parts, "images": order.images, "names": list(names)}


def _save(
    path: Path, settings: dict[str, Any], step: int, model: nn.Module,
    optimizer: torch.optim.Optimizer, curve: Curve,
) -> None:  # fmt: skip
    """Write the state beside its place and move it there: it is whole, or the one before is."""
    state = {
        "settings": settings, "step": step, "model": model.state_dict(),
        "optimizer": optimizer.state_dict(), "loss": curve.loss, "lr": curve.lr,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    try:
        torch.save(state, temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise TrainingError(
            f"{path}: the state of step {step} could not be saved ({error}); make room and run "
            "again, it goes on from the state saved before"
        ) from error


def _resume(
    path: Path, settings: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer,
    curve: Curve, device: torch.device,
) -> int:  # fmt: skip
    """The step to go on with; 0 where nothing is saved."""
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        saved = dict(state["settings"])
    except Exception as error:  # torch raises whatever the damage causes
        raise TrainingError(
            f"{path}: the state to go on from is damaged ({reason_of(error)}); remove it to begin "
            "anew, or put back a whole one"
        ) from error
    changed = [key for key in settings if saved.get(key) != settings[key]]
    if changed:
        raise TrainingError(
            f"{path}: was saved by a run with other settings: {', '.join(changed)}; give another "
            "folder, or the same settings"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    curve.loss.extend(state["loss"])
    curve.lr.extend(state["lr"])
    return int(state["step"])
