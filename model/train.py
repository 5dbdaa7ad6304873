"""Training: plain loops that can be read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.captioner import PAD, Captioner, encode_texts, new_captioner, pad_tags
from model.config import CaptionerConfig, TrainConfig
from model.errors import ModelError
from model.losses import asymmetric_loss, caption_loss
from model.tagger import Floats, Halves, Tagger

Progress = Callable[[int, int], None]
Ints = npt.NDArray[np.int64]


def train_tagger(
    features: Halves,
    targets: Floats,
    queries: Floats,
    config: TrainConfig,
    *,
    known: Floats | None = None,
    init: Tagger | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = lambda *_: None,
) -> Tagger:
    """Train a tagger, or go on with `init` (fine-tuning is the same loop from a trained start).

    First the per-label read-out alone, which is quick over all labels, then the decoder over
    labels drawn at random per step.

    Args:
        features: (N, P, C). targets: (N, L), 0 or 1. queries: (L, text_dim).
        known: (N, L), 0 where neither presence nor absence is known; such pairs do not train.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    known = np.ones_like(targets) if known is None else known
    if init:
        tagger = _copy(init, queries, config)
    else:
        tagger = _new_tagger(features, targets, known, queries, config)
    goal, weight = torch.from_numpy(targets), torch.from_numpy(known)
    steps = math.ceil(len(features) / config.batch)
    total = steps * (config.readout_epochs + config.epochs)
    done = 0
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
    schedule = _schedule(optimizer, steps * config.readout_epochs, config.warmup)
    for rows in _epochs(len(features), config.readout_epochs, config.batch):
        part = torch.from_numpy(features[rows.numpy()].astype(np.float32))
        loss = _loss(tagger.read_out(part), goal[rows], weight[rows], config)
        _step(loss, optimizer, tagger, config.clip_norm)
        schedule.step()
        progress(done := done + 1, total)
    # The read-out has found its place and stays there while the decoder learns the rest.
    _freeze_readout(tagger, True)
    rest = [weight for weight in tagger.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(rest, config.lr, weight_decay=config.decay)
    schedule = _schedule(optimizer, steps * config.epochs, config.warmup)
    for rows in _epochs(len(features), config.epochs, config.batch):
        chosen = torch.randperm(tagger.labels)[: config.labels_per_step].sort().values
        part = torch.from_numpy(features[rows.numpy()].astype(np.float32))
        logits = tagger(part, chosen)
        loss = _loss(logits, goal[rows][:, chosen], weight[rows][:, chosen], config)
        _step(loss, optimizer, tagger, config.clip_norm)
        schedule.step()
        progress(done := done + 1, total)
    _freeze_readout(tagger, False)
    return tagger.eval()


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
    captioner = new_captioner(features, queries, texts, shape)
    pieces = encode_texts(captioner, texts)
    optimizer = torch.optim.AdamW(captioner.parameters(), config.lr, weight_decay=0.05)
    total = min(config.max_steps, math.ceil(len(texts) / config.batch) * config.epochs)
    schedule = _schedule(optimizer, total, 0.1)
    captioner.train()
    for done, rows in enumerate(_epochs(len(texts), config.epochs, config.batch), 1):
        of_image = image[rows.numpy()]
        part = torch.from_numpy(features[of_image].astype(np.float32))
        guides = pad_tags([_thinned(tags[row], config.tag_dropout) for row in of_image])
        line = pieces[rows]
        line = line[:, : int((line != PAD).sum(dim=1).max())]
        logits = captioner(*captioner.memory(part, guides), line[:, :-1])
        loss = caption_loss(logits, line[:, 1:], config.smoothing, PAD)
        _step(loss, optimizer, captioner, 1.0)
        schedule.step()
        progress(done, total)
        if done == total:
            break
    return captioner.eval()


def _thinned(tags: Sequence[int], dropout: float) -> list[int]:
    order = torch.randperm(len(tags)).tolist()
    kept = torch.rand(len(tags)) >= dropout
    return [tags[place] for place in order if kept[place]]


def _new_tagger(
    features: Halves, targets: Floats, known: Floats, queries: Floats, config: TrainConfig
) -> Tagger:
    """A tagger whose standardisation fits the features and whose biases fit the frequencies."""
    tagger = Tagger(
        features.shape[2], torch.from_numpy(queries), config.hidden, config.layers, config.heads,
        config.dropout, config.readout_dropout,
    )  # fmt: skip
    # Accumulated in float64 over at most 4,096 images: enough for means, bounded in memory.
    sample = features[:: max(1, len(features) // 4096)].astype(np.float32)
    values = sample.reshape(-1, sample.shape[2])
    mean, std = (f(axis=0, dtype=np.float64).astype(np.float32) for f in (values.mean, values.std))
    tagger.mean.copy_(torch.from_numpy(mean))
    tagger.std.copy_(torch.from_numpy(std).clamp(min=1e-4))
    share = (targets * known).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    frequency = torch.from_numpy(share.astype(np.float32)).clamp(1e-4, 1 - 1e-4)
    with torch.no_grad():
        tagger.readout.bias.copy_(torch.logit(frequency))
    return tagger


def _freeze_readout(tagger: Tagger, frozen: bool) -> None:
    for parameter in (
        *tagger.readout.parameters(),
        *tagger.overview.parameters(),
        tagger.log_temperature,
    ):
        parameter.requires_grad_(not frozen)


def _copy(init: Tagger, queries: Floats, config: TrainConfig) -> Tagger:
    if not np.array_equal(init.queries.numpy(), queries):
        raise ModelError("fine-tuning needs the label list of the model it starts from, in order")
    shape = init.shape | {"dropout": config.dropout, "readout_dropout": config.readout_dropout}
    tagger = Tagger(queries=init.queries.clone(), **shape)
    tagger.load_state_dict(init.state_dict())
    return tagger


def _epochs(count: int, epochs: int, batch: int) -> Iterator[Tensor]:
    """Rows of each step: every epoch is one random order of all."""
    for _ in range(epochs):
        order = torch.randperm(count)
        yield from torch.split(order, batch)


def _loss(logits: Tensor, targets: Tensor, weight: Tensor, config: TrainConfig) -> Tensor:
    """Asymmetric loss per image."""
    total = asymmetric_loss(
        logits, targets, gamma_neg=config.gamma_neg, gamma_pos=config.gamma_pos,
        clip=config.clip, weight=weight,
    )  # fmt: skip
    return total / len(logits)


def _step(
    loss: Tensor, optimizer: torch.optim.Optimizer, model: nn.Module, clip_norm: float
) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()


def _schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up, then half a cosine down to zero."""
    rising = max(1, int(steps * warmup))

    def rate(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
