"""A budget for the detector: what does cleaning still find where it looks at a share of the images?

The scenes and the cycle are those of `planted`; each share grounds and cleans a copy of its lake.
At random, a share of the images would hold that share of what is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.lakes import copy_lake, run_stages
from bench.peers import ours
from bench.planted import judged_tags, median_of, place_of
from bench.ranking import compare
from pipeline.config import Config
from pipeline.demo import DemoPaths, demo_config, fill_lake, make_scenes
from pipeline.reporting import Quiet
from storage.lake import Lake

SHARES = (0.25, 0.5, 0.75, 1.0)
_LOOKED_AT = "SELECT count(DISTINCT image_id) FROM current_regions"
_IMAGES = "SELECT count(*) FROM current_images WHERE split = 'train'"
_SECONDS = "SELECT sum(seconds) FROM current_ledger WHERE stage = 'ground'"


def run(
    data: Path | None, seeds: tuple[int, ...], out: Path, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Figures of each share for every seed, then the median; `data` is not used, `settings` change
    the scenes (`SceneConfig`)."""
    found = {seed: _shares(out, seed, dict(settings or {})) for seed in seeds}
    together = {share: median_of([one[share] for one in found.values()]) for share in SHARES}
    tables = {f"seed {seed}": _rows(one) for seed, one in found.items()}
    tables["median"] = _rows(together)
    return {"shares": together, "seeds": found, "tables": tables, "notes": []}


def _rows(found: Mapping[float, Mapping[str, float | None]]) -> list[dict[str, Any]]:
    return [{"budget": share, **figures} for share, figures in found.items()]


def _shares(
    out: Path, seed: int, settings: Mapping[str, Any]
) -> dict[float, dict[str, float | None]]:
    folder, scenes, recipe = place_of(out, seed, settings)
    paths, config = DemoPaths(folder), demo_config(scenes, seed)
    make_scenes(paths, scenes, seed, Quiet(), recipe)
    fill_lake(paths, config, Quiet())
    run_stages(paths.lake, config, until="calibrate")
    return {share: _one(paths.lake, folder / f"budget-{share}", config, share) for share in SHARES}


def _one(source: Path, path: Path, config: Config, share: float) -> dict[str, float | None]:
    if not path.exists():
        copy_lake(source, path)
    ground = config.ground.model_copy(update={"budget": share})
    run_stages(path, config.model_copy(update={"ground": ground}), until="clean")
    with Lake.open(path, read_only=True) as lake:
        figures = compare(*judged_tags(lake, in_caption=True), ours(lake))
        looked_at = lake.scalar(_LOOKED_AT) / lake.scalar(_IMAGES)
        return {"looked_at": looked_at, "seconds": lake.scalar(_SECONDS), **figures}
