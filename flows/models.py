"""`tagwright train`, `tag`, `evaluate` and `models`: the networks from the command line."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.options import DEFAULT_LAKE, AsJson, LakeDir, Settings

Model = Annotated[
    str | None,
    typer.Option(help="role or digest of a model of the lake, or ram:, clip: or blip:PATH"),
]
Names = Annotated[Path | None, typer.Option(help="the label list of a published .pth")]
Thresholds = Annotated[Path | None, typer.Option(help="its thresholds, aligned by line")]
ClipDir = Annotated[Path | None, typer.Option(help="the CLIP model that made its label queries")]

app = typer.Typer(no_args_is_help=True, help="The models of a lake, and published checkpoints.")


def tag(
    images: Annotated[list[Path], typer.Argument(help="pictures")],
    lake: LakeDir = DEFAULT_LAKE,
    tags: Annotated[str | None, typer.Option(help="any names, separated by commas")] = None,
    model: Model = None,
    names: Names = None,
    thresholds: Thresholds = None,
    clip: ClipDir = None,
    json_: AsJson = False,
) -> None:
    """Tags of pictures with their scores; with --tags the scores of just these, known or not."""
    from flows.show import print_rows
    from pipeline.errors import PlanError
    from pipeline.taggers import Wanted
    from pipeline.tagging import tag_pictures

    asked = None if tags is None else [name.strip() for name in tags.split(",") if name.strip()]
    if asked == []:
        raise PlanError(f"--tags {tags!r}: names no tag; write them as 'dog, red ball'")
    found, unread = tag_pictures(
        lake, Wanted(model, names, thresholds, clip), [str(path) for path in images], asked
    )
    print_rows(found, ("image", "tag", "score", "open"), json_)
    for line in unread:
        print(f"error: {line}", file=sys.stderr)
    if unread:
        raise typer.Exit(1)


def evaluate(
    lake: LakeDir = DEFAULT_LAKE,
    model: Model = None,
    benchmark: Annotated[
        Path | None, typer.Option(help="lines of path,tag,tag or file,id id")
    ] = None,
    benchmark_names: Annotated[Path | None, typer.Option(help="its label list")] = None,
    images: Annotated[Path | None, typer.Option(help="the folder of its images")] = None,
    captions: Annotated[
        bool, typer.Option("--captions", help="judge its captions instead of its tags")
    ] = False,
    threshold: Annotated[float | None, typer.Option(help="one for all tags")] = None,
    names: Names = None,
    thresholds: Thresholds = None,
    clip: ClipDir = None,
    seed: Annotated[int, typer.Option(min=0, help="of the resamplings behind intervals")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="a CSV file with a row a tag, or a caption")
    ] = None,
    json_: AsJson = False,
) -> None:
    """mAP, CP, CR, CF1, OP, OR, OF1 on the lake's evaluation split or a published benchmark.

    With --captions: CIDEr-D of its captions of the split's images beside those of people.
    """
    from flows.progress import Bars
    from flows.show import print_caption_scores, print_evaluation
    from pipeline.assess import Benchmark, assess
    from pipeline.assess_captions import assess_captions
    from pipeline.errors import PlanError
    from pipeline.taggers import Wanted

    files = (benchmark, benchmark_names, images)
    if any(files) and not all(files):
        raise PlanError("a benchmark needs --benchmark, --benchmark-names and --images")
    if captions and (any(files) or threshold is not None):
        raise PlanError("--captions: neither a benchmark nor a threshold belongs to captions")
    chosen = None
    if benchmark and benchmark_names and images:
        chosen = Benchmark(benchmark, benchmark_names, images)
    if out is not None:
        _writable(out)  # told before the work, not after it
    wanted = Wanted(model, names, thresholds, clip)
    bars = Bars()
    with bars.stage("evaluate", 0):
        if captions:
            found = assess_captions(lake, wanted, seed, bars.progress)
        else:
            found = assess(lake, wanted, chosen, threshold, seed, bars.progress)
    if out is not None:
        _write(out, found["captions" if captions else "tags"])
    (print_caption_scores if captions else print_evaluation)(found, json_)


def train(
    preset: Annotated[str, typer.Argument(help="swin_b_4m, swin_l_14m or finetune")],
    out: Annotated[Path, typer.Option(help="folder for states and the finished checkpoint")] = Path(
        "train-out"
    ),
    lake: LakeDir = DEFAULT_LAKE,
    init: Annotated[Path | None, typer.Option(help="a converted checkpoint to start from")] = None,
    clip: Annotated[Path | None, typer.Option(help="CLIP: teacher, and label queries")] = None,
    set: Settings = None,
) -> None:
    """Train RAM end to end on the newest publication; run again after a stop to go on.

    For several GPUs: torchrun --nproc-per-node 8 -m flows train swin_l_14m --out DIR
    """
    from flows.progress import Bars
    from pipeline.config import load_preset

    config = load_preset(preset, set or [])  # a mistake in it shows before torch is imported
    if preset == "finetune" and init is None:
        from pipeline.errors import PlanError

        raise PlanError(
            "finetune: its small steps go on from a checkpoint; give one by --init, or train from "
            "the start by swin_b_4m or swin_l_14m"
        )
    from pipeline.training import train as run

    bars = Bars()
    with bars.stage("train", 0):

        def progress(done: int, total: int, figures: dict[str, float]) -> None:
            bars.progress(
                done, total, "steps", f", loss {figures['loss']:.4f}, lr {figures['lr']:.1e}"
            )

        folder = run(lake, config, out, init=init, clip=clip, progress=progress)
    if folder is not None:
        print(f"trained {folder}; next: tagwright tag PHOTO --model ram:{folder}")


@app.command("list")
def list_models(lake: LakeDir = DEFAULT_LAKE, json_: AsJson = False) -> None:
    """The models of a lake with their mAP, and which one is in service."""
    from flows.show import print_rows
    from pipeline.taggers import models_of

    rows = models_of(lake)
    print_rows(rows, tuple(rows[0]) if rows else (), json_)


@app.command("promote")
def promote_model(
    model: Annotated[str, typer.Argument(help="digest or role of a tagger that saw all folds")],
    lake: LakeDir = DEFAULT_LAKE,
) -> None:
    """Put a model into service by hand, until a better one replaces it."""
    from pipeline.promotion import promote

    _serves(promote(lake, model))


@app.command("rollback")
def roll_back_model(lake: LakeDir = DEFAULT_LAKE) -> None:
    """Put back the model and the publication that were in service before; again undoes it."""
    from pipeline.promotion import roll_back

    _serves(roll_back(lake))


def _serves(row: dict[str, Any]) -> None:
    publication = row["publication_id"] or "none"
    print(f"in service: {row['model_digest']} ({row['decision']}), publication {publication}")


@app.command("import")
def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="ram_*.pth, ram_plus_*.pth or tag2text_*.pth")],
    names: Annotated[Path, typer.Option(help="its label list, one name a line")],
    out: Annotated[Path, typer.Option(help="folder for the converted checkpoint")],
    thresholds: Thresholds = None,
) -> None:
    """Convert a published checkpoint: safetensors and JSON, without optimizer state, with names."""
    from pipeline.taggers import convert

    folder = convert(file, names, thresholds, out)
    print(f"wrote {folder}; next: tagwright tag PHOTO --model ram:{folder}")


@app.command("calibrate")
def calibrate_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(help="a converted checkpoint's folder")],
    out: Annotated[Path, typer.Option(help="folder for the checkpoint with its thresholds")],
    lake: LakeDir = DEFAULT_LAKE,
    precision: Annotated[
        float | None, typer.Option(help="that a tag is to be right with; without it, best F1")
    ] = None,
) -> None:
    """Give RAM thresholds per tag, from a lake's images that it was not trained on."""
    from flows.progress import Bars
    from pipeline.ram_thresholds import calibrate

    bars = Bars()
    with bars.stage("calibrate", 0):
        found = calibrate(lake, checkpoint, precision, out, bars.progress)
    for line in found.unread:
        print(f"left out: {line}", file=sys.stderr)
    print(
        f"wrote {found.folder}: thresholds of {found.labels} labels from {found.images} "
        f"{found.split} images"
    )


def _writable(path: Path) -> None:
    from pipeline.errors import PlanError

    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PlanError(f"--out {path}: cannot be written; name a file in a folder that is there")


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["tag"])
        writer.writeheader()
        writer.writerows(rows)
