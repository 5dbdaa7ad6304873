"""The command line: every command is a few lines that call `pipeline`, `storage` or `parsing`.

Heavy packages are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import io
import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import certify, labels, models, orders
from flows.options import DEFAULT_LAKE, AsJson, ConfigFile, LakeDir, Settings, Workers

if TYPE_CHECKING:
    from pipeline.runner import Runner

app = typer.Typer(
    name="tagwright",
    help="Noisy image-caption pairs in, clean image tags out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(labels.app, name="labels")
app.add_typer(models.app, name="models")
app.add_typer(certify.app, name="certify")


_INTERRUPTED = 130


class TableFormat(StrEnum):
    """How query results are printed."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def main() -> None:
    """Run the command line; every expected error is one line on stderr and exit code 1."""
    from flows.errors import expected_errors, one_line

    # Captions and tags are in any script, whatever the terminal's locale; files are UTF-8, too.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app()
    except (KeyboardInterrupt, SystemExit, RuntimeError) as stop:
        if not _interrupted(stop):
            raise
        print("interrupted; run again to go on where it stopped", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if not isinstance(error, expected_errors()):
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(1)


def _interrupted(stop: BaseException) -> bool:
    """Whether that is Ctrl-C: by itself, as typer tells it, or as DuckDB does within a query."""
    if isinstance(stop, SystemExit):
        return stop.code == _INTERRUPTED
    return isinstance(stop, KeyboardInterrupt) or str(stop) == "Query interrupted"


@app.command()
def init(lake: LakeDir = DEFAULT_LAKE) -> None:
    """Make an empty lake."""
    from storage.lake import Lake

    Lake.create(lake).close()
    print(f"made a lake in {lake}; next: tagwright ingest captions.csv --images DIR")


@app.command()
def ingest(
    source: Annotated[Path, typer.Argument(help="a file or folder of image-caption pairs")],
    lake: LakeDir = DEFAULT_LAKE,
    format: Annotated[str | None, typer.Option(help="how to read it; guessed by default")] = None,
    images: Annotated[Path | None, typer.Option(help="folder that image paths start from")] = None,
    split: Annotated[str | None, typer.Option(help="train or eval; by default a share")] = None,
    encoding: Annotated[str, typer.Option(help="of text files")] = "utf-8",
    config: ConfigFile = None,
    set: Settings = None,
    json_: AsJson = False,
) -> None:
    """Bring image-caption pairs into the lake; pairs it already has are skipped."""
    from flows.progress import Bars
    from pipeline.config import load_config
    from pipeline.ingest import ingest as run_ingest
    from pipeline.readers import ReaderOptions, open_source
    from storage.lake import Lake

    options = ReaderOptions(images=images, encoding=encoding)
    records = open_source(source, format, options)
    settings = load_config(config, set or [])
    with Lake.open(lake) as opened:
        summary = run_ingest(opened, records, settings.ingest, split=split, reporter=Bars())
    if json_:
        print(json.dumps(vars(summary)))
        return
    print(
        f"{summary.read} records: {summary.new_images} new images, "
        f"{summary.new_captions} new captions, {summary.known} known images, "
        f"{summary.rejected} rejected, {summary.shards} new shards"
    )
    if summary.rejected:
        print('why: tagwright sql "SELECT reason, item, detail FROM rejects"', file=sys.stderr)


@app.command()
def run(
    lake: LakeDir = DEFAULT_LAKE,
    until: Annotated[str | None, typer.Option(help="the last stage to run")] = None,
    workers: Workers = None,
    next_cycle: Annotated[
        bool, typer.Option("--next-cycle", help="train on the last publication's tags")
    ] = False,
    config: ConfigFile = None,
    set: Settings = None,
    json_: AsJson = False,
) -> None:
    """Run the cycle over what is not done yet."""
    _run(lake, config, set, workers, json_, until=until, next_cycle=next_cycle)


@app.command()
def retrain(
    lake: LakeDir = DEFAULT_LAKE,
    workers: Workers = None,
    config: ConfigFile = None,
    set: Settings = None,
    json_: AsJson = False,
) -> None:
    """Retrain on the newest publication, evaluate; what beats the model in service replaces it."""
    _run(lake, config, set, workers, json_, first="publish", force=frozenset({"retrain"}))


def _run(
    lake: Path, config: Path | None, settings: list[str] | None, workers: int | None, as_json: bool,
    *, first: str | None = None, until: str | None = None, next_cycle: bool = False,
    force: frozenset[str] = frozenset(),
) -> None:  # fmt: skip
    from flows.progress import Bars
    from pipeline.config import load_config

    loaded = load_config(config, settings or [])  # a mistake in it shows before torch is imported
    from pipeline.runner import Runner
    from pipeline.work import cores

    runner = Runner(lake, loaded, workers=workers or cores(), reporter=Bars())
    if next_cycle and not runner.next_cycle():
        print(f"cycle {runner.cycle} has not published yet: going on with it", file=sys.stderr)
    try:
        done = runner.run(first=first, until=until, force=force)
    finally:
        _tell_missed(runner)
    if as_json:
        print(json.dumps([vars(summary) for summary in done]))
        return
    for summary in done:
        words = f"{summary.ran} of {summary.units} units" if summary.ran else "nothing to do"
        print(f"{summary.stage:<16} {words:<24} {summary.seconds:6.1f} s")


def _tell_missed(runner: Runner) -> None:
    from pipeline.returned import told_missed

    missed = told_missed(runner.lake)
    if missed:
        print(missed, file=sys.stderr)


@app.command()
def status(lake: LakeDir = DEFAULT_LAKE, json_: AsJson = False) -> None:
    """What the lake holds and how far the cycle is."""
    from flows.show import print_status
    from pipeline.status import status_of
    from storage.lake import Lake

    with Lake.open(lake, read_only=True) as opened:
        print_status(status_of(opened), json_)


@app.command()
def stats(
    lake: LakeDir = DEFAULT_LAKE,
    limit: Annotated[int, typer.Option(min=1, help="tags to print")] = 30,
    json_: AsJson = False,
) -> None:
    """Tags by number of images, with what was generated and dropped."""
    from flows.show import print_table
    from storage.sql import run_sql

    print_table(
        run_sql(lake, f"SELECT * FROM tag_stats LIMIT {limit}"), "json" if json_ else "table"
    )


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="one SELECT, DESCRIBE or SHOW")],
    lake: LakeDir = DEFAULT_LAKE,
    at: Annotated[int | None, typer.Option(help="a snapshot, see lake.snapshots()")] = None,
    format: Annotated[TableFormat, typer.Option(help="how to print rows")] = TableFormat.table,
) -> None:
    """Ask the lake anything, read-only."""
    from flows.show import print_table
    from storage.sql import run_sql

    print_table(run_sql(lake, query, snapshot=at), format.value)


@app.command()
def why(
    image: Annotated[str, typer.Argument(help="image id, the start of one, or its name")],
    tag: Annotated[str, typer.Argument(help="a tag name or surface form")],
    lake: LakeDir = DEFAULT_LAKE,
    json_: AsJson = False,
) -> None:
    """The whole chain of evidence and verdicts for one tag of one image."""
    from flows.show import print_why
    from pipeline.status import why_of
    from storage.lake import Lake

    with Lake.open(lake, read_only=True) as opened:
        print_why(why_of(opened, image, tag), json_)


@app.command()
def report(
    lake: LakeDir = DEFAULT_LAKE,
    out: Annotated[Path, typer.Option(help="the HTML file to write")] = Path("report.html"),
) -> None:
    """Write an HTML report with pictures: tags, regions, what was added and dropped, and why."""
    from pipeline.report import write_report
    from storage.lake import Lake

    with Lake.open(lake, read_only=True) as opened:
        write_report(opened, out)
    print(f"wrote {out}")


@app.command()
def parse(
    file: Annotated[str, typer.Argument(help="one caption a line; - reads standard input")] = "-",
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes for long inputs; as many as cores")
    ] = None,
    config: ConfigFile = None,
    set: Settings = None,
) -> None:
    """Scene graphs of captions: one JSON line out for each line in; needs no lake."""
    from flows.lines import caption_lines
    from parsing.stream import json_lines
    from pipeline.config import load_config

    settings = load_config(config, set or []).parse
    processes = workers or os.cpu_count() or 1
    for lines in json_lines(caption_lines(file), settings.parser, settings.model, processes):
        print("\n".join(lines), flush=True)


@app.command()
def export(
    dest: Annotated[Path, typer.Argument(help="a new folder")],
    format: Annotated[str, typer.Option(help="ram-json, coco, webdataset, parquet or hf")],
    lake: LakeDir = DEFAULT_LAKE,
    at: Annotated[int | None, typer.Option(help="a snapshot")] = None,
) -> None:
    """Write the clean tags in a format that training code reads."""
    from flows.progress import Bars
    from pipeline.exporters import find_exporter
    from storage.lake import Lake

    exporter = find_exporter(format)
    bars = Bars()
    with (
        Lake.open(lake, read_only=True, snapshot=at) as opened,
        bars.stage("export", 0),
    ):
        summary = exporter(opened, dest, bars.progress)
    print(summary)


@app.command()
def plan(
    lake: LakeDir = DEFAULT_LAKE,
    config: ConfigFile = None,
    set: Settings = None,
    json_: AsJson = False,
) -> None:
    """The stages of the cycle and what is left to do at each; checks that they fit together."""
    from flows.show import print_plan
    from pipeline.config import load_config
    from pipeline.runner import Runner

    print_plan(Runner(lake, load_config(config, set or [])).outlook(), json_)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="a new folder for scenes, lake and report")] = Path(
        "demo-out"
    ),
    scenes: Annotated[int, typer.Option(min=8, help="training scenes")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="of scenes and training")] = 0,
    workers: Workers = None,
    json_: AsJson = False,
) -> None:
    """The whole cycle on built-in captioned scenes with planted truth, and a report."""
    from flows.progress import Bars
    from flows.show import print_demo
    from pipeline.demo import run_demo
    from pipeline.work import cores

    print_demo(run_demo(out, scenes, seed, workers or cores(), Bars()), json_)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="which benchmark; see docs/benchmarks.md")],
    data: Annotated[Path | None, typer.Option(help="folder with the benchmark's data")] = None,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="may be repeated")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="seeds 0 to N - 1")] = None,
    out: Annotated[Path, typer.Option(help="a folder for what it writes")] = Path("bench-out"),
    set: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as wrong=0.2 of planted")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Reproducible benchmarks, peers side by side."""
    from bench import run_benchmark
    from flows.show import print_bench

    chosen = tuple(seed or range(seeds or 1))
    print_bench(run_benchmark(name, data, chosen, out, set or ()), json_)


# In the order in which `--help` lists them: after what every user needs.
app.command()(models.train)
app.command()(models.tag)
app.command()(models.evaluate)
app.command()(orders.deploy)
app.command()(orders.trigger)
app.command()(orders.schedule)
