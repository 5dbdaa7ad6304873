"""Cleaning over the noise: planted scenes with 2, 5, 10 and 20 % of the captions' tags wrong.

A seed draws the same pictures whatever its captions say, so they are encoded once; each share of
wrong tags gets a copy of that lake, its own captions, and the cycle as far as `clean`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.given import number
from bench.lakes import copy_lake, run_stages
from bench.planted import compare_cleaning, median_of
from bench.ranking import as_row
from pipeline.config import Config
from pipeline.demo import DemoPaths, demo_config, make_scenes, read_truth
from pipeline.errors import PlanError
from pipeline.ingest import ingest
from pipeline.readers import ReaderOptions, Record, open_source
from pipeline.reporting import Quiet
from storage.lake import Lake

SHARES = (0.02, 0.05, 0.10, 0.20)
SCENES = 400


def run(
    data: Path | None, seeds: tuple[int, ...], out: Path, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The curve of every seed, then the median; `data` is not used, `settings` change the scenes
    (`SceneConfig`)."""
    recipe = dict(settings or {})
    scenes = number(recipe, "scenes", SCENES)
    recipe.pop("scenes", None)
    changed = "".join(f"-{key}-{value}" for key, value in sorted((settings or {}).items()))
    found, seconds = {}, {}
    for seed in seeds:
        started = time.perf_counter()
        found[seed] = _curve(out / f"noise-{seed}{changed}", scenes, seed, recipe)
        seconds[seed] = time.perf_counter() - started
    together = {
        share: {
            name: median_of([curve[share][name] for curve in found.values()])
            for name in next(iter(found.values()))[share]
        }
        for share in SHARES
    }
    tables = {f"seed {seed}: {seconds[seed]:.0f} s": _rows(curve) for seed, curve in found.items()}
    tables["median"] = _rows(together)
    return {"curve": together, "seeds": found, "tables": tables, "notes": []}


def _rows(curve: Mapping[float, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"wrong": share, **as_row(name, figures)}
        for share, by in curve.items()
        for name, figures in by.items()
    ]


def _curve(
    folder: Path, scenes: int, seed: int, recipe: Mapping[str, Any]
) -> dict[float, dict[str, dict[str, float | None]]]:
    if taken := {"wrong", "eval_scenes", "seed"} & recipe.keys():
        raise PlanError(f"--set {min(taken)}: noise sets that itself; other faults can be set")
    config = demo_config(scenes, seed)
    curve = {}
    for share in SHARES:
        paths = DemoPaths(folder / f"wrong-{share}")
        make_scenes(paths, scenes, seed, Quiet(), {**recipe, "wrong": share, "eval_scenes": 0})
        pictures = folder / "pictures"
        if not pictures.exists():
            Lake.create(pictures).close()
            _ingest(pictures, paths, config, captions=False)
            run_stages(pictures, config, first="encode", until="encode")
        if not paths.lake.exists():
            copy_lake(pictures, paths.lake)
        _ingest(paths.lake, paths, config, captions=True)
        run_stages(paths.lake, config, until="clean")
        with Lake.open(paths.lake, read_only=True) as lake:
            curve[share] = compare_cleaning(lake, config)
    return curve


def _ingest(path: Path, paths: DemoPaths, config: Config, *, captions: bool) -> None:
    """The pictures with their truth, and their captions or none."""
    folder = paths.scenes / "train"
    truth = read_truth(paths.scenes / "truth.parquet")["train"]
    records = open_source(folder / "captions.csv", "csv", ReaderOptions(images=folder / "images"))
    bare = (
        record if captions or not isinstance(record, Record) else replace(record, captions=())
        for record in records
    )
    with Lake.open(path) as lake:
        ingest(lake, bare, config.ingest, split="train", truth=truth, reporter=Quiet())
