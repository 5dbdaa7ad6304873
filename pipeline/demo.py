"""The demo: the whole cycle on captioned scenes whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import ValidationError

from pipeline.ablation import training_uncleaned, uncleaned_map
from pipeline.config import Config, load_config
from pipeline.errors import PlanError
from pipeline.ingest import Truth, ingest
from pipeline.readers import ReaderOptions, open_source
from pipeline.report import write_report
from pipeline.reporting import Reporter
from pipeline.runner import Runner
from pipeline.scenes.generator import SceneConfig, generate
from pipeline.scenes.vocabulary import load_vocabulary
from pipeline.scoring import map_by_role, score_steps
from storage.lake import Lake

EVAL_SHARE = 3  # one evaluation scene for so many training scenes
MOST_EVAL = 300


@dataclass(frozen=True)
class DemoPaths:
    """Where the demo keeps its things."""

    root: Path

    @property
    def scenes(self) -> Path:
        """Generated pictures, captions and truth."""
        return self.root / "scenes"

    @property
    def lake(self) -> Path:
        """The lake."""
        return self.root / "lake"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"


def run_demo(
    out: Path, scenes: int, seed: int, workers: int, reporter: Reporter,
    recipe: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Generate scenes, run the cycle, score every step, write the report.

    `recipe` are values of `SceneConfig` that differ from the standard difficulty. Started again in
    the same folder with the same scenes and seed, it goes on where it stopped.

    Raises:
        PlanError: `out` holds a demo with other scenes or another seed.
    """
    paths = DemoPaths(out)
    config = demo_config(scenes, seed)
    make_scenes(paths, scenes, seed, reporter, recipe)
    fill_lake(paths, config, reporter)
    Runner(paths.lake, config, workers=workers, reporter=reporter).run(
        until="publish", command="demo"
    )
    with training_uncleaned(paths.lake, config, workers, reporter) as uncleaned:
        Runner(paths.lake, config, workers=workers, reporter=reporter).run(command="demo")
        with reporter.stage("compare", 1):
            compared = uncleaned()
    with Lake.open(paths.lake, read_only=True) as lake:
        steps = steps_table(lake, uncleaned_map(lake, compared))
        write_report(lake, paths.report, steps=steps)
    return {
        "title": f"{scenes} training scenes, seed {seed}",
        "seed": seed,
        "steps": steps,
        "report": str(paths.report),
    }


def demo_config(scenes: int, seed: int) -> Config:
    """The defaults, with shards and counts fit for few images; below 200 also fewer passes."""
    few = scenes < 200
    rare = 2 if few else 3
    passes = [
        "baseline.tagger.encoder_epochs=2", "refine.tagger.encoder_epochs=1",
        "retrain.tagger.encoder_epochs=2", "retrain.finetune.encoder_epochs=1",
    ]  # fmt: skip
    return load_config(
        None,
        [
            f"seed={seed}",
            f"ingest.shard_size={max(8, min(128, scenes // 2))}",
            # Nothing is gained by a decoder that learned from so few (docs/trials.md).
            "baseline.tagger.epochs=0",
            "retrain.tagger.epochs=0",
            "retrain.finetune.epochs=0",
            f"label.min_mentions={rare}",
            f"baseline.min_images={rare}",
            # The tagger that the retrained one is compared with has the other core.
            "retrain.threads=1",
            *(passes if few else []),
        ],
    )


def make_scenes(
    paths: DemoPaths, scenes: int, seed: int, reporter: Reporter,
    recipe: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Generate both splits' scenes, if they are not there yet.

    Raises:
        PlanError: the folder holds scenes of another recipe, or `recipe` has an unknown key or a
            value that does not fit.
    """
    held = max(8, min(scenes // EVAL_SHARE, MOST_EVAL))
    sizes = {"scenes": scenes, "eval_scenes": held, "seed": seed}
    try:
        wanted = SceneConfig.model_validate(sizes | dict(recipe or {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise PlanError(
            f"scenes {'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r}; "
            f"keys are {', '.join(SceneConfig.model_fields)}"
        ) from None
    written = paths.scenes / "recipe.json"
    if written.exists():
        # Of an older version the recipe may lack what is a default now.
        if SceneConfig().model_dump(mode="json") | json.loads(written.read_text()) != (
            wanted.model_dump(mode="json")
        ):
            raise PlanError(f"{paths.root}: holds a demo with other scenes; name another --out")
        return
    with reporter.stage("scenes", scenes + wanted.eval_scenes) as advance:
        generate(paths.scenes, wanted, progress=lambda *_: advance(1))
    written.write_text(wanted.model_dump_json())


def fill_lake(paths: DemoPaths, config: Config, reporter: Reporter) -> None:
    """Ingest both splits with their truth; what is there already is skipped."""
    if not (paths.lake / "lake.toml").exists():
        Lake.create(paths.lake).close()
    truth = read_truth(paths.scenes / "truth.parquet")
    with Lake.open(paths.lake) as lake:
        for split in ("train", "eval"):
            folder = paths.scenes / split
            records = open_source(
                folder / "captions.csv", "csv", ReaderOptions(images=folder / "images")
            )
            ingest(lake, records, config.ingest, split=split, truth=truth[split], reporter=reporter)


def read_truth(path: Path) -> dict[str, dict[str, tuple[Truth, ...]]]:
    """What is in each picture, by split and file name."""
    vocabulary = load_vocabulary()
    things = (*vocabulary.objects, *vocabulary.people)
    synonyms = {(thing.name, "object"): thing.synonyms for thing in things}
    truth: dict[str, dict[str, tuple[Truth, ...]]] = {"train": {}, "eval": {}}
    for row in pq.read_table(path).to_pylist():
        box = tuple(row[edge] for edge in ("x1", "y1", "x2", "y2"))
        known = Truth(
            row["name"], row["kind"], None if box[0] is None else box,
            synonyms.get((row["name"], row["kind"]), ()), row.get("unclear", False),
        )  # fmt: skip
        of_split = truth[row["split"]]
        of_split[row["image"]] = (*of_split.get(row["image"], ()), known)
    return truth


def steps_table(lake: Lake, uncleaned: float) -> list[dict[str, Any]]:
    """Precision and recall of the training tags after each step, and mAP of what they train.

    The tags of "+ cleaned" train the retrained model, which is then fine-tuned.
    """
    metrics = map_by_role(lake)
    mean_ap = {
        "parsed": metrics.get("baseline"),
        "+ generated": uncleaned,
        "+ cleaned": metrics.get("retrained"),
    }
    rows = score_steps(lake)
    last = rows[-1] | {"step": "retrained, fine-tuned", "mAP": metrics.get("fine-tuned")}
    return [row | {"mAP": mean_ap[row["step"]]} for row in rows] + [last]
