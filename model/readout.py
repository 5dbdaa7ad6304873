"""The read-out: its training, and what is chosen on images held out of it.

Two read-outs are fitted: one that looks at positions (AdamW, stopped early) and a penalised
logistic regression on mean features (`model/pooled.py`). Things in crowded pictures need the first,
few images of whole scenes the second. Some of the images are held out of a trial of both; they say
how strong the penalty should be and how much of each to take. Both are then fitted on all images
and become one set of weights, for a sum of linear maps is linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.config import TrainConfig
from model.metrics import mean_average_precision
from model.open import learn_open
from model.pooled import fit_pooled
from model.steps import random_batches, rate_schedule, tagging_loss, take_step
from model.tagger import LOG_TEMPERATURES, Floats, Halves, Tagger, batches

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
PENALTIES = (3000.0, 1000.0, 300.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9)
"""Of the pooled read-out."""
FEWEST_HELD = 16
"""With fewer images held out there is no choice to be made: positions only."""


@dataclass(frozen=True)
class Examples:
    """Features (N, P, C), targets (N, L) and which pairs are known (N, L)."""

    features: Halves
    targets: Tensor
    known: Tensor

    def part(self, rows: Ints) -> Tensor:
        """Features of some rows as float32."""
        return torch.from_numpy(self.features[rows].astype(np.float32))


@dataclass(frozen=True)
class Choice:
    """What held-out images chose; `mean` and `std` (L,) of their logits."""

    penalty: float
    share: float
    mean: Tensor
    std: Tensor
    open_setting: Tensor


def held_out(count: int, groups: Ints | None, share: float, seed: int) -> Flags:
    """Which rows (N,) to hold out: whole groups, about `share` of them; none where too few."""
    groups = np.arange(count) if groups is None else groups
    names = np.unique(groups)
    chosen = np.random.default_rng(seed).permutation(names)[: int(share * len(names))]
    held: Flags = np.isin(groups, chosen)
    return held if held.sum() >= FEWEST_HELD else np.zeros(count, np.bool_)


def readout_steps(count: int, held: Flags, config: TrainConfig) -> int:
    """Steps of the read-out's training, the trial included."""
    trial = math.ceil((count - int(held.sum())) / config.batch) if held.any() else 0
    return config.readout_epochs * (math.ceil(count / config.batch) + trial)


def train_readout(
    tagger: Tagger, data: Examples, rows: Ints, config: TrainConfig,
    advance: Callable[[], None], *, bounded: bool,
) -> None:  # fmt: skip
    """Train the read-out on some rows; `bounded` keeps its temperatures within their bounds."""
    tagger.train()
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [*tagger.readout.parameters(), *tagger.overview.parameters()],
                "weight_decay": config.readout_decay,
            },
            # One number per label needs larger steps than the weights it scales.
            {
                "params": [tagger.log_temperature],
                "lr": 200 * config.readout_lr,
                "weight_decay": 0.0,
            },
        ],
        config.readout_lr,
    )
    steps = math.ceil(len(rows) / config.batch) * config.readout_epochs
    rate = rate_schedule(optimizer, steps, config.warmup)
    for places in random_batches(len(rows), config.readout_epochs, config.batch):
        chosen = rows[places.numpy()]
        logits = tagger.read_out(data.part(chosen))
        value = tagging_loss(logits, data.targets[chosen], data.known[chosen], config)
        take_step(value, optimizer, tagger, config.clip_norm)
        if bounded:
            with torch.no_grad():
                tagger.log_temperature.clamp_(*LOG_TEMPERATURES)
        rate.step()
        advance()
    tagger.eval()


def choose(
    data: Examples, held: Flags, queries: Floats, config: TrainConfig, advance: Callable[[], None]
) -> Choice:
    """Train a trial of both read-outs without the held-out images, and let these choose."""
    fitted, judged = np.flatnonzero(~held), np.flatnonzero(held)
    trial = new_tagger(data, fitted, queries, config)
    prior = trial.readout.bias.detach().clone()
    train_readout(trial, data, fitted, config, advance, bounded=True)
    own = _read(trial, data, judged)
    means = mean_features(trial, data.features)
    targets, known = data.targets[judged], data.known[judged]
    best, chosen = -1.0, (PENALTIES[0], 0.0, own)
    for penalty in PENALTIES:
        pooled = fit_pooled(
            means[fitted], data.targets[fitted], data.known[fitted], trial.queries, penalty, prior
        )
        other = pooled(means[judged])
        for share in SHARES:
            logits = (1 - share) * own + share * other
            value = mean_average_precision(logits.numpy(), targets.numpy(), known.numpy())
            if value > best:
                best, chosen = value, (penalty, share, logits)
    penalty, share, logits = chosen
    mean, std = logits.mean(dim=0), logits.std(dim=0).clamp(min=1e-3)
    setting = learn_open((logits - mean) / std, targets, known, trial.queries)
    return Choice(penalty, share, mean, std, setting)


@torch.inference_mode()
def measure_logits(tagger: Tagger, data: Examples) -> None:
    """Where nothing was held out: mean and spread of the logits on the images trained on."""
    logits = _read(tagger, data, np.arange(len(data.features)))
    tagger.logit_mean.copy_(logits.mean(dim=0))
    tagger.logit_std.copy_(logits.std(dim=0, correction=0).clamp(min=1e-3))


@torch.no_grad()
def apply(choice: Choice, tagger: Tagger, data: Examples) -> None:
    """Fit the pooled read-out on all images and add its share to a trained tagger's weights."""
    tagger.logit_mean.copy_(choice.mean)
    tagger.logit_std.copy_(choice.std)
    tagger.open_setting.copy_(choice.open_setting)
    if not choice.share:
        return
    means = mean_features(tagger, data.features)
    prior = torch.logit(_frequency(data.targets, data.known))
    with torch.enable_grad():
        pooled = fit_pooled(means, data.targets, data.known, tagger.queries, choice.penalty, prior)
    rest = 1 - choice.share
    tagger.readout.weight.mul_(rest)
    # A soft maximum with weights and temperature scaled alike is scaled.
    tagger.log_temperature.add_(math.log(rest))
    tagger.readout.bias.mul_(rest).add_(choice.share * pooled.bias)
    tagger.overview.weight.mul_(rest).add_(choice.share * pooled.weight)


def mean_features(tagger: Tagger, features: Halves) -> Tensor:
    """(N, C): standardised, then the mean over positions."""
    parts = [(part.mean(dim=1) - tagger.mean) / tagger.std for part in batches(features)]
    return torch.cat(parts)


def new_tagger(data: Examples, rows: Ints, queries: Floats, config: TrainConfig) -> Tagger:
    """A tagger whose standardisation fits the features and whose biases fit the frequencies."""
    shape = config.model_dump(include={"hidden", "layers", "heads", "dropout", "readout_dropout"})
    channels = data.features.shape[2]
    tagger = Tagger(channels=channels, queries=torch.from_numpy(queries), **shape)
    # Accumulated in float64 over at most 4,096 images: enough for means, bounded in memory.
    sample = data.features[rows[:: max(1, len(rows) // 4096)]].astype(np.float32)
    values = sample.reshape(-1, channels)
    mean, std = (f(axis=0, dtype=np.float64).astype(np.float32) for f in (values.mean, values.std))
    tagger.mean.copy_(torch.from_numpy(mean))
    tagger.std.copy_(torch.from_numpy(std).clamp(min=1e-4))
    with torch.no_grad():
        tagger.readout.bias.copy_(torch.logit(_frequency(data.targets[rows], data.known[rows])))
    return tagger


def _frequency(targets: Tensor, known: Tensor) -> Tensor:
    share = (targets * known).sum(dim=0) / known.sum(dim=0).clamp(min=1)
    return share.clamp(1e-4, 1 - 1e-4)


@torch.inference_mode()
def _read(tagger: Tagger, data: Examples, rows: Ints) -> Tensor:
    parts = [tagger.read_out(data.part(part)) for part in np.split(rows, range(16, len(rows), 16))]
    return torch.cat(parts)
