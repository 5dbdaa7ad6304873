"""Training an encoder's last blocks on tags."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from model.config import TrainConfig
from model.last_blocks import Halves, LastBlocks
from model.places import places_loss
from model.readout import Examples, Ints, new_tagger, readout_groups, train_readout
from model.steps import random_batches, rate_schedule, tagging_loss, take_step
from model.tagger import LOG_TEMPERATURES, Floats, Tagger
from model.windows import floats, windows_of

WARMUP_EPOCHS = 4
"""Of the read-out alone: until it knows something, it would only disturb the blocks."""


def adapt_steps(count: int, config: TrainConfig, *, goes_on: bool) -> int:
    """Steps of `adapt` over some images; `goes_on` from a tagger, not from published blocks."""
    if not config.encoder_epochs:
        return 0
    alone = 0 if goes_on else math.ceil(count / config.batch) * WARMUP_EPOCHS
    return alone + math.ceil(count / config.encoder_batch) * passes(count, config)


def passes(count: int, config: TrainConfig) -> int:
    """How often the last blocks see each of some images: less often where there are more.

    What they learn depends on the steps and on how many different pictures these show.
    """
    return min(config.encoder_epochs, max(1, round(config.encoder_pictures / count)))


def warmed_up(
    data: Examples, queries: Floats, kinds: Ints, config: TrainConfig, advance: Callable[[], None]
) -> Tagger:
    """A tagger whose read-out has looked through the blocks alone for some passes."""
    rows = np.arange(len(data.maps))
    tagger = new_tagger(data, rows, queries, kinds, config)
    alone = config.model_copy(update={"readout_epochs": WARMUP_EPOCHS})
    train_readout(tagger, data, rows, alone, advance, bounded=True)
    return tagger


def adapt(
    blocks: LastBlocks, tagger: Tagger, features: Halves, targets: Tensor, known: Tensor,
    config: TrainConfig, advance: Callable[[], None],
) -> None:  # fmt: skip
    """Teach the last blocks what the tags tell apart, together with the read-out of `tagger`.

    Both in whole images and at the places where tags are seen (`model/places.py`). `features` are
    (N, S, D) of the frozen blocks, `targets` and `known` (N, L). A picture is mirrored in every
    other pass by chance, as it may be without changing its tags. Weights may be averaged over the
    last steps (Izmailov et al. 2018, https://arxiv.org/abs/1803.05407).
    """
    tagger.train()
    learning, looking = blocks.learnable(), list(tagger.second.linear.parameters())
    for weight in [*learning, *looking]:
        weight.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        [{"params": learning, "lr": config.encoder_lr, "weight_decay": config.decay},
         {"params": looking, "weight_decay": config.readout_decay},
         *readout_groups(tagger, config)],
        config.readout_lr,
    )  # fmt: skip

    def loss_of(maps: Tensor, logits: Tensor, rows: Tensor) -> Tensor:
        loss = tagging_loss(logits, targets[rows], known[rows], config)
        if config.encoder_places:
            loss = loss + config.encoder_places * places_loss(
                tagger, maps, targets[rows], known[rows]
            )
        return loss

    epochs = passes(len(features), config)
    steps = math.ceil(len(features) / config.encoder_batch) * epochs
    schedule = rate_schedule(optimizer, steps, config.warmup)
    both = nn.ModuleList([blocks, tagger])
    mean = AveragedModel(both)
    drawn = random_batches(len(features), epochs, config.encoder_batch)
    for step, chosen in enumerate(drawn):
        mirrored = torch.rand(len(chosen)) < 0.5
        inputs = mirror(floats(features[chosen.numpy()]), mirrored)
        own, order = mixing(len(chosen), config.encoder_mix)
        maps = blocks(inputs.lerp(inputs[order], 1 - own))
        logits = tagger.read_out(windows_of(maps))
        loss = own * loss_of(maps, logits, chosen)
        if own < 1:
            loss = loss + (1 - own) * loss_of(maps, logits, chosen[order])
        take_step(loss, optimizer, both, config.clip_norm)
        if step >= config.encoder_average * steps:
            mean.update_parameters(both)
        with torch.no_grad():
            tagger.log_temperature.clamp_(*LOG_TEMPERATURES)
        schedule.step()
        advance()
    if mean.n_averaged:
        both.load_state_dict(mean.module.state_dict())
    for weight in [*learning, *looking]:
        weight.requires_grad_(False)
    tagger.eval()


def mixing(count: int, alpha: float) -> tuple[float, Tensor]:
    """The share of an image's own picture and tags, at least half, and whose it is mixed with.

    mixup (Zhang et al. 2018, https://arxiv.org/abs/1710.09412); without `alpha` nothing is mixed.
    """
    if not alpha:
        return 1.0, torch.arange(count)
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    return max(share, 1 - share), torch.randperm(count)


def mirror(features: Tensor, chosen: Tensor) -> Tensor:
    """Features (B, P, C) with left and right exchanged where `chosen` (B,) is true."""
    side = math.isqrt(features.shape[1])
    rows = features.reshape(len(features), side, side, -1)
    return torch.where(chosen[:, None, None, None], rows.flip(2), rows).reshape(features.shape)
