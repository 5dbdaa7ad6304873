"""Lakes of benchmarks: run as far as needed, copied without their bulk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from model.encoder import make_encoder
from model.windows import split
from pipeline.columns import Floats, Halves
from pipeline.config import Config
from pipeline.errors import SourceError
from pipeline.runner import Runner
from pipeline.work import cores
from storage.lake import Lake


def run_stages(
    path: Path, config: Config, *, first: str | None = None, until: str | None = None,
    cycle: int | None = None,
) -> None:  # fmt: skip
    """Run a lake's cycle, the newest or that of a number, to `until`; what is done is skipped."""
    runner = Runner(path, config, workers=cores(), cycle=cycle)
    with runner.lake:  # closed before anybody copies it
        runner.run(first=first, until=until, command="bench")


def copy_lake(source: Path, target: Path) -> None:
    """A lake of one's own; files that are never changed again are linked, not copied."""
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part, ignore=shutil.ignore_patterns("data"))
    shutil.copytree(source / "data", part / "data", copy_function=os.link)
    part.replace(target)


def left_out(lake: Lake) -> list[str]:
    """What of a data set could not be used, as notes for people; none where all could.

    Raises:
        SourceError: nothing could.
    """
    rejected = lake.query("SELECT item, detail FROM current_rejects ORDER BY item, detail")
    if not rejected.num_rows:
        return []
    first = f"such as {rejected['item'][0]}: {rejected['detail'][0]}"
    if not lake.scalar("SELECT count(*) FROM current_images"):
        raise SourceError(f"none of the {rejected.num_rows} records can be used, {first}")
    return [f"{rejected.num_rows} records could not be used, {first}"]


def mean_maps(features: Halves, encoder: str) -> Floats:
    """What peers look at: the mean (N, C) of the maps of an encoder as it was published."""
    blocks = make_encoder(encoder).last_blocks()
    parts = [blocks.maps(part).astype(np.float32).mean(axis=1) for part in split(features)]
    return np.concatenate(parts)
