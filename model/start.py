"""The network that training starts from: new, or a checkpoint whose labels are exchanged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from model.config import FitConfig
from model.errors import ModelError
from model.published import load_converted
from model.ram import RAM_SWIN_L, RecognizeAnything
from model.swin import SWIN_B, SWIN_L
from model.text_networks import TextShape

ENCODERS = {"swin_b": SWIN_B, "swin_l": SWIN_L}


def start_network(
    config: FitConfig, queries: npt.NDArray[np.float32], init: Path | None
) -> RecognizeAnything:
    """A network that is asked with `queries` (L, text_dim).

    Args:
        init: a converted checkpoint; without it all weights are random, by the config's seed.

    Raises:
        CheckpointError: `init` cannot be read.
        ModelError: its queries have another width, one query is zero, or it has a captioner that
            the config does without.
    """
    torch.manual_seed(config.seed)
    if init is not None:
        model, _ = load_converted(init, image_size=config.image_size)
        if model.captioner is not None and not config.captions:
            raise ModelError(
                f"captions=false: {init} has a captioner, which learns on with it; leave that out"
            )
    else:
        shape = replace(
            RAM_SWIN_L, swin=ENCODERS[config.encoder], text_dim=queries.shape[1],
            labels=len(queries), text=TextShape() if config.captions else None,
        )  # fmt: skip
        model = RecognizeAnything(shape.at(config.image_size))
    model.set_queries(torch.from_numpy(queries))
    return model
