"""Training: plain loops that can be read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.adapt import adapt, adapt_steps, warmed_up
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
    Flags,
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


@dataclass(frozen=True)
class Lesson:
    """What a tagger is taught: the arguments of `train_tagger`, as its parts take them."""

    features: Halves
    targets: Tensor
    known: Tensor
    queries: Floats
    kinds: Ints
    config: TrainConfig
    advance: Callable[[], None]

    def examples(self, maps: Halves) -> Examples:
        """With the maps that are made of the features."""
        return Examples.of(maps, self.targets, self.known)


@half_products()
def train_tagger(
    features: Halves,
    targets: Floats,
    queries: Floats,
    config: TrainConfig,
    *,
    known: Floats | None = None,
    init: Tagger | None = None,
    anew: bool = True,
    encoder: Encoder | None = None,
    kinds: Sequence[str] | None = None,
    groups: Ints | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = lambda *_: None,
) -> Tagger:
    """Train a tagger, or go on with `init` (fine-tuning is the same loop from a trained start).

    First the last blocks of the encoder learn, under a read-out (`model/adapt.py`): a new one, or
    that of `init`. What reads them is made anew then, which is quick over all labels
    (`model/readout.py`), as held-out images choose, or have chosen for `init`. Last comes the
    decoder, over labels drawn at random per step.

    Args:
        features: (N, S, D) as the encoder stores them; without an encoder maps (N, P, C).
        encoder: whose last blocks become part of a new tagger.
        targets: (N, L), 0 or 1. queries: (L, text_dim).
        kinds: of each label (L,), such as object or action; without them all are of one.
        groups: (N,), the same for images that must not be on both sides of the inner split.
        known: (N, L), how much a pair counts, from 0, where neither presence nor absence is known
            and it does not train, to 1.
        anew: without, blocks that learn on keep the read-out under which they do. It scores images
            as well, for a quarter less time, but sees less well where in them a label is.
    """
    torch.set_num_threads(threads)
    known = np.ones_like(targets) if known is None else known
    name, blocks = _last_blocks(init, encoder)
    learns = blocks is not None and config.encoder_epochs > 0
    # After the encoder is there: reading a network takes random numbers, but only the first time.
    torch.manual_seed(seed)
    # Of a new tagger alone: one that goes on keeps what its start has chosen.
    held = held_out(len(features), groups, config.holdout if init is None else 0.0, seed)
    steps = math.ceil(len(features) / config.batch) * config.epochs
    total = steps
    if learns:
        total += adapt_steps(int((~held).sum()), config, goes_on=init is not None)
    if anew or init is None or not learns:
        total += readout_steps(len(features), held, config)
    done = 0

    def advance() -> None:
        nonlocal done
        progress(done := done + 1, total)

    numbers = np.unique(kinds or [""] * len(queries), return_inverse=True)[1].astype(np.int64)
    goal, weight = torch.from_numpy(targets), torch.from_numpy(known)
    lesson = Lesson(features, goal, weight, queries, numbers, config, advance)
    data: Examples | None
    if init is None:
        tagger, data = _new(lesson, blocks, held)
    elif blocks is not None and learns:
        tagger, data = _learned_on(lesson, init, blocks, anew)
    else:
        tagger, data = _copy(init, lesson), lesson.examples(init.maps(features))
        train_readout(tagger, data, np.arange(len(features)), config, advance, bounded=False)
    if data is not None and steps:
        _train_decoder(tagger, data, steps, lesson)
    if blocks is not None:
        tagger.take(name, blocks)
    return tagger.eval()


def _new(lesson: Lesson, blocks: LastBlocks | None, held: Flags) -> tuple[Tagger, Examples]:
    """A tagger from the start; the last blocks that it looks through learn on the way."""
    config, advance = lesson.config, lesson.advance
    maps = lesson.features
    if blocks is not None:
        still, learning = blocks.split(config.encoder_blocks)
        before = still.maps(maps)
        if config.encoder_epochs:
            # Not on the images that choose: they would see blocks that know them by heart.
            rows = np.flatnonzero(~held)
            part = before[rows], lesson.targets[rows], lesson.known[rows]
            seen = Examples.of(learning.maps(part[0]), *part[1:])
            first = warmed_up(seen, lesson.queries, lesson.kinds, config, advance)
            adapt(learning, first, *part, config, advance)
            del part, seen, first  # as large as what is made next
        maps = learning.maps(before)
    data, everything = lesson.examples(maps), np.arange(len(maps))
    tagger = new_tagger(data, everything, lesson.queries, lesson.kinds, config)
    choice = None
    if held.any():
        choice = choose(data, held, lesson.queries, lesson.kinds, config, advance)
    train_readout(tagger, data, everything, config, advance, bounded=True)
    _choose_and_look(tagger, data, choice)
    return tagger, data


def _learned_on(
    lesson: Lesson, init: Tagger, blocks: LastBlocks, anew: bool
) -> tuple[Tagger, Examples | None]:
    """A tagger whose blocks learn on from those of `init`; the examples where they are needed."""
    config, tagger = lesson.config, _copy(init, lesson)
    still, learning = blocks.split(config.encoder_blocks)
    before = still.maps(lesson.features)
    adapt(learning, tagger, before, lesson.targets, lesson.known, config, lesson.advance)
    if not anew and not config.epochs:
        return tagger, None
    data, everything = lesson.examples(learning.maps(before)), np.arange(len(before))
    if anew:
        tagger = new_tagger(data, everything, lesson.queries, lesson.kinds, config)
        train_readout(tagger, data, everything, config, lesson.advance, bounded=True)
        _choose_and_look(tagger, data, Choice.of(init))
    return tagger, data


def _choose_and_look(tagger: Tagger, data: Examples, choice: Choice | None) -> None:
    if choice:
        apply(choice, tagger, data)
    else:
        measure_logits(tagger, data)
    learn_regions(tagger, data, np.arange(len(data.maps)))


def _train_decoder(tagger: Tagger, data: Examples, steps: int, lesson: Lesson) -> None:
    """The read-out has found its place and stays there while the decoder learns the rest."""
    config = lesson.config
    tagger.train()
    _freeze_readout(tagger, True)
    rest = [weight for weight in tagger.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(rest, config.lr, weight_decay=config.decay)
    schedule = rate_schedule(optimizer, steps, config.warmup)
    for rows in random_batches(len(data.maps), config.epochs, config.batch):
        chosen = torch.randperm(tagger.labels)[: config.labels_per_step].sort().values
        logits = tagger(data.part(rows.numpy()), chosen)
        targets, known = data.targets[rows][:, chosen], data.known[rows][:, chosen]
        take_step(tagging_loss(logits, targets, known, config), optimizer, tagger, config.clip_norm)
        schedule.step()
        lesson.advance()
    _freeze_readout(tagger, False)


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


def _last_blocks(init: Tagger | None, encoder: Encoder | None) -> tuple[str, LastBlocks | None]:
    """The encoder's name and its last blocks as `init` has learned them, or as they come."""
    if init is not None:
        return str(init.shape["encoder"]), deepcopy(init.last_blocks)
    return ("", None) if encoder is None else (encoder.name, encoder.last_blocks())


def _copy(init: Tagger, lesson: Lesson) -> Tagger:
    """A tagger with the same weights but for the last blocks, which it does not have."""
    queries, config = lesson.queries, lesson.config
    if not np.array_equal(init.queries.numpy(), queries):
        raise ModelError("fine-tuning needs the label list of the model it starts from, in order")
    rates = {"dropout": config.dropout, "readout_dropout": config.readout_dropout}
    tagger = Tagger(queries=init.queries.clone(), **init.shape | rates | {"encoder": None})
    state = init.state_dict()
    tagger.load_state_dict({name: state[name] for name in tagger.state_dict()})
    return tagger
