"""The read-out: its training, and what is chosen on images held out of it.

Two read-outs are fitted: one that looks at windows (AdamW, stopped early) and a penalised logistic
regression on mean features (`model/pooled.py`). Things in crowded pictures need the first, few
images of whole scenes the second. Some of the images are held out of a trial of both; they say how
strong the penalty should be and how much of each to take. Both are then fitted on all images and
become one set of weights, for a sum of linear maps is linear. The same images say how much the
second look at regions (`model/second_look.py`) counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.config import TrainConfig
from model.metrics import mean_average_precision
from model.open import learn_open
from model.pooled import fit_pooled
from model.regions import seen_regions
from model.steps import random_batches, rate_schedule, tagging_loss, take_step
from model.tagger import LOG_TEMPERATURES, Floats, Halves, Tagger
from model.windows import all_windows, floats

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
PENALTIES = (3000.0, 1000.0, 300.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9)
"""Of the pooled read-out."""
MOST_REGIONS = 50_000
"""That the second look learns from; more are sampled."""
FEWEST_HELD = 16
"""With fewer images held out there is no choice to be made: the read-out over windows alone."""


@dataclass(frozen=True)
class Examples:
    """Feature maps (N, P, C), their windows (N, W, C), targets and how known (N, L)."""

    maps: Halves
    windows: Halves
    targets: Tensor
    known: Tensor

    @classmethod
    def of(cls, maps: Halves, targets: Tensor, known: Tensor) -> Examples:
        """Examples of some maps."""
        return cls(maps, all_windows(maps), targets, known)

    def part(self, rows: Ints) -> Tensor:
        """Windows of some rows as float32."""
        return floats(self.windows[rows])


@dataclass(frozen=True)
class Choice:
    """What held-out images chose: also `weights` of both views, `mean` and `std` (L,) of logits."""

    penalty: float
    share: float
    weights: Tensor
    mean: Tensor
    std: Tensor
    open_setting: Tensor

    @classmethod
    def of(cls, tagger: Tagger) -> Choice | None:
        """What a tagger was made by; none where nothing was held out."""
        penalty, share = tagger.pooled.tolist()
        if not penalty:
            return None
        weights = tagger.second.weights
        return cls(
            penalty, share, weights, tagger.logit_mean, tagger.logit_std, tagger.open_setting
        )


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
    optimizer = torch.optim.AdamW(readout_groups(tagger, config), config.readout_lr)
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


def readout_groups(tagger: Tagger, config: TrainConfig) -> list[dict[str, Any]]:
    """The read-out's weights as an optimizer wants them."""
    return [
        {
            "params": [*tagger.readout.parameters(), *tagger.overview.parameters()],
            "weight_decay": config.readout_decay,
        },
        # One number per label needs larger steps than the weights it scales.
        {"params": [tagger.log_temperature], "lr": 200 * config.readout_lr, "weight_decay": 0.0},
    ]


def choose(
    data: Examples, held: Flags, queries: Floats, kinds: Ints, config: TrainConfig,
    advance: Callable[[], None],
) -> Choice:  # fmt: skip
    """Train a trial of both read-outs without the held-out images, and let these choose."""
    fitted, judged = np.flatnonzero(~held), np.flatnonzero(held)
    trial = new_tagger(data, fitted, queries, kinds, config)
    prior = trial.readout.bias.detach().clone()
    train_readout(trial, data, fitted, config, advance, bounded=True)
    own = _read(trial, data, judged)
    means = mean_features(trial, data)
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
    learn_regions(trial, data, fitted)
    odds = _looks(trial, data, judged)
    trial.second.learn_weights(logits, odds, targets, known)
    logits = trial.second.weigh(logits, odds)
    mean, std = logits.mean(dim=0), logits.std(dim=0).clamp(min=1e-3)
    setting = learn_open((logits - mean) / std, targets, known, trial.queries)
    return Choice(penalty, share, trial.second.weights, mean, std, setting)


@torch.inference_mode()
def measure_logits(tagger: Tagger, data: Examples) -> None:
    """Where nothing was held out: mean and spread of the logits on the images trained on."""
    logits = _read(tagger, data, np.arange(len(data.maps)))
    tagger.logit_mean.copy_(logits.mean(dim=0))
    tagger.logit_std.copy_(logits.std(dim=0, correction=0).clamp(min=1e-3))


@torch.no_grad()
def apply(choice: Choice, tagger: Tagger, data: Examples) -> None:
    """Fit the pooled read-out on all images and add its share to a trained tagger's weights."""
    tagger.logit_mean.copy_(choice.mean)
    tagger.logit_std.copy_(choice.std)
    tagger.open_setting.copy_(choice.open_setting)
    tagger.second.weights.copy_(choice.weights)
    tagger.pooled.copy_(torch.tensor([choice.penalty, choice.share]))
    if not choice.share:
        return
    means = mean_features(tagger, data)
    prior = torch.logit(_frequency(data.targets, data.known))
    with torch.enable_grad():
        pooled = fit_pooled(means, data.targets, data.known, tagger.queries, choice.penalty, prior)
    rest = 1 - choice.share
    tagger.readout.weight.mul_(rest)
    # A soft maximum with weights and temperature scaled alike is scaled.
    tagger.log_temperature.add_(math.log(rest))
    tagger.readout.bias.mul_(rest).add_(choice.share * pooled.bias)
    tagger.overview.weight.mul_(rest).add_(choice.share * pooled.weight)


@torch.no_grad()
def learn_regions(tagger: Tagger, data: Examples, rows: Ints) -> None:
    """Fit the second look on the regions where the read-out sees the labels of some images."""
    weights = (data.targets * data.known)[rows].numpy()
    image, label = np.nonzero(weights)
    if len(image) > MOST_REGIONS:
        chosen = np.random.default_rng(0).permutation(len(image))[:MOST_REGIONS]
        image, label = image[chosen], label[chosen]
    if not len(image):
        return
    parts = torch.from_numpy(seen_regions(tagger, data.maps, rows[image], label))
    tagger.second.fit((parts - tagger.mean) / tagger.std, label, weights[image, label])


def mean_features(tagger: Tagger, data: Examples) -> Tensor:
    """(N, C): standardised, then the mean over windows."""
    rows = np.arange(len(data.windows))
    parts = [(part.mean(dim=1) - tagger.mean) / tagger.std for part in _parts(data, rows)]
    return torch.cat(parts)


def new_tagger(
    data: Examples, rows: Ints, queries: Floats, kinds: Ints, config: TrainConfig
) -> Tagger:
    """A tagger whose standardisation fits the features and whose biases fit the frequencies."""
    from sklearn.preprocessing import StandardScaler  # a second to import

    shape = config.model_dump(include={"hidden", "layers", "heads", "dropout", "readout_dropout"})
    channels = data.windows.shape[2]
    tagger = Tagger(channels=channels, queries=torch.from_numpy(queries), **shape)
    # Of at most 4,096 images, which is enough for means, and a few of them at a time.
    scale = StandardScaler()
    for part in _parts(data, rows[:: max(1, len(rows) // 4096)]):
        scale.partial_fit(part.numpy().reshape(-1, channels))
    tagger.mean.copy_(torch.from_numpy(scale.mean_))
    tagger.std.copy_(torch.from_numpy(scale.var_).sqrt().clamp(min=1e-4))
    tagger.second.kinds.copy_(torch.from_numpy(kinds))
    with torch.no_grad():
        tagger.readout.bias.copy_(torch.logit(_frequency(data.targets[rows], data.known[rows])))
    return tagger


def _frequency(targets: Tensor, known: Tensor) -> Tensor:
    share = (targets * known).sum(dim=0) / known.sum(dim=0).clamp(min=1)
    return share.clamp(1e-4, 1 - 1e-4)


def _parts(data: Examples, rows: Ints) -> Iterator[Tensor]:
    return (data.part(part) for part in np.split(rows, range(16, len(rows), 16)))


@torch.inference_mode()
def _read(tagger: Tagger, data: Examples, rows: Ints) -> Tensor:
    return torch.cat([tagger.read_out(part) for part in _parts(data, rows)])


@torch.inference_mode()
def _looks(tagger: Tagger, data: Examples, rows: Ints) -> Tensor:
    return torch.cat([tagger.look(part).amax(dim=1) for part in _parts(data, rows)])
