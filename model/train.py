"""Training: plain loops that can be read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
import torch

from model.adapt import adapt, adapt_steps
from model.captioner import PAD, Captioner, encode_texts, new_captioner, pad_tags
from model.config import CaptionerConfig, TrainConfig
from model.encoder import Encoder
from model.errors import ModelError
from model.last_blocks import LastBlocks
from model.losses import caption_loss
from model.products import half_products
from model.readout import (
    Choice,
    Examples,
    Ints,
    apply,
    choose,
    held_out,
    learn_regions,
    measure_logits,
    new_tagger,
    readout_steps,
    train_readout,
)
from model.steps import random_batches, rate_schedule, tagging_loss, take_step
from model.tagger import Floats, Halves, Tagger
from model.windows import all_windows, floats

Progress = Callable[[int, int], None]


@half_products()
def train_tagger(
    features: Halves,
    targets: Floats,
    queries: Floats,
    config: TrainConfig,
    *,
    known: Floats | None = None,
    init: Tagger | None = None,
    encoder: Encoder | None = None,
    kinds: Sequence[str] | None = None,
    groups: Ints | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = lambda *_: None,
) -> Tagger:
    """Train a tagger, or go on with `init` (fine-tuning is the same loop from a trained start).

    First the last blocks of the encoder (`model/adapt.py`), then the per-label read-out alone,
    which is quick over all labels (`model/readout.py`), then the decoder over labels drawn at
    random per step. Where the last blocks of `init` learn on, what reads them is made anew; without
    `config.holdout` as held-out images have chosen it for `init`.

    Args:
        features: (N, S, D) as the encoder stores them; without an encoder maps (N, P, C).
        encoder: whose last blocks become part of a new tagger.
        targets: (N, L), 0 or 1. queries: (L, text_dim).
        kinds: of each label (L,), such as object or action; without them all are of one.
        groups: (N,), the same for images that must not be on both sides of the inner split.
        known: (N, L), how much a pair counts, from 0, where neither presence nor absence is known
            and it does not train, to 1.
    """
    torch.set_num_threads(threads)
    known = np.ones_like(targets) if known is None else known
    goal, weight = torch.from_numpy(targets), torch.from_numpy(known)
    everything = np.arange(len(features))
    new = init is None or (init.last_blocks is not None and config.encoder_epochs > 0)
    numbers = np.unique(kinds or [""] * len(queries), return_inverse=True)[1].astype(np.int64)
    name, blocks = _last_blocks(init, encoder, queries) if new else ("", None)
    # After the encoder is there: reading a network takes random numbers, but only the first time.
    torch.manual_seed(seed)
    # One whose last blocks stay keeps what its start has chosen, too.
    held = held_out(len(features), groups, config.holdout if new else 0.0, seed)
    fitted = np.flatnonzero(~held)
    steps = math.ceil(len(features) / config.batch)
    total = steps * config.epochs + readout_steps(len(features), held, config)
    if blocks is not None:
        total += adapt_steps(len(fitted), config, goes_on=init is not None)
    done = 0

    def advance() -> None:
        nonlocal done
        progress(done := done + 1, total)

    if init and not new:
        tagger = _copy(init, queries, config)
        data = Examples.of(tagger.maps(features), goal, weight)
    else:
        maps = features
        if blocks is not None:
            still, learning = blocks.split(config.encoder_blocks)
            before = still.maps(features)
            # Not on the images that choose: they would see blocks that know them by heart.
            adapt(
                learning, before[fitted], goal[fitted], weight[fitted], queries, numbers, config,
                advance, init,
            )  # fmt: skip
            maps = learning.maps(before)
        data = Examples.of(maps, goal, weight)
        tagger = new_tagger(data, everything, queries, numbers, config)
        if blocks is not None:
            tagger.take(name, blocks)
    choice = Choice.of(init) if init and new else None
    if held.any():
        choice = choose(data, held, queries, numbers, config, advance)
    train_readout(tagger, data, everything, config, advance, bounded=new)
    if choice:
        apply(choice, tagger, data)
    elif new:
        measure_logits(tagger, data)
    if new:
        learn_regions(tagger, data, everything)
    tagger.train()
    # The read-out has found its place and stays there while the decoder learns the rest.
    _freeze_readout(tagger, True)
    rest = [weight for weight in tagger.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(rest, config.lr, weight_decay=config.decay)
    schedule = rate_schedule(optimizer, steps * config.epochs, config.warmup)
    for rows in random_batches(len(features), config.epochs, config.batch):
        chosen = torch.randperm(tagger.labels)[: config.labels_per_step].sort().values
        logits = tagger(data.part(rows.numpy()), chosen)
        loss = tagging_loss(logits, goal[rows][:, chosen], weight[rows][:, chosen], config)
        take_step(loss, optimizer, tagger, config.clip_norm)
        schedule.step()
        advance()
    _freeze_readout(tagger, False)
    return tagger.eval()


@half_products()
def train_captioner(
    features: Halves,
    tags: Sequence[Sequence[int]],
    image: Ints,
    texts: Sequence[str],
    queries: Floats,
    config: CaptionerConfig,
    *,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = lambda *_: None,
) -> Captioner:
    """Train a captioner on captions `texts` (M) of the images `image` (M,).

    Each step's tags are shuffled and thinned, so that the captioner learns to use what it is given
    and to do without. `features` is (N, P, C); `tags` are N lists of label indices.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    shape = config.model_dump(include={"hidden", "layers", "heads", "dropout", "max_pieces"})
    features = all_windows(features)
    captioner = new_captioner(features, queries, texts, shape)
    pieces = encode_texts(captioner, texts)
    optimizer = torch.optim.AdamW(captioner.parameters(), config.lr, weight_decay=0.05)
    total = min(config.max_steps, math.ceil(len(texts) / config.batch) * config.epochs)
    schedule = rate_schedule(optimizer, total, 0.1)
    captioner.train()
    for done, rows in enumerate(random_batches(len(texts), config.epochs, config.batch), 1):
        of_image = image[rows.numpy()]
        part = floats(features[of_image])
        guides = pad_tags([_thinned(tags[row], config.tag_dropout) for row in of_image])
        line = pieces[rows]
        line = line[:, : int((line != PAD).sum(dim=1).max())]
        logits = captioner(*captioner.memory(part, guides), line[:, :-1])
        loss = caption_loss(logits, line[:, 1:], config.smoothing, PAD)
        take_step(loss, optimizer, captioner, 1.0)
        schedule.step()
        progress(done, total)
        if done == total:
            break
    return captioner.eval()


def _thinned(tags: Sequence[int], dropout: float) -> list[int]:
    order = torch.randperm(len(tags)).tolist()
    kept = torch.rand(len(tags)) >= dropout
    return [tags[place] for place in order if kept[place]]


def _freeze_readout(tagger: Tagger, frozen: bool) -> None:
    for parameter in (
        *tagger.readout.parameters(),
        *tagger.overview.parameters(),
        tagger.log_temperature,
    ):
        parameter.requires_grad_(not frozen)


def _last_blocks(
    init: Tagger | None, encoder: Encoder | None, queries: Floats
) -> tuple[str, LastBlocks | None]:
    """The encoder's name and its last blocks as `init` has learned them, or as they come."""
    if init is not None and init.last_blocks is not None:
        _check_labels(init, queries)
        return str(init.shape["encoder"]), deepcopy(init.last_blocks)
    return ("", None) if encoder is None else (encoder.name, encoder.last_blocks())


def _check_labels(init: Tagger, queries: Floats) -> None:
    if not np.array_equal(init.queries.numpy(), queries):
        raise ModelError("fine-tuning needs the label list of the model it starts from, in order")


def _copy(init: Tagger, queries: Floats, config: TrainConfig) -> Tagger:
    _check_labels(init, queries)
    shape = init.shape | {"dropout": config.dropout, "readout_dropout": config.readout_dropout}
    tagger = Tagger(queries=init.queries.clone(), **shape)
    tagger.load_state_dict(init.state_dict())
    return tagger
