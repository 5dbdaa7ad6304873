"""`tagwright certify ...`: what cleaning did to each tag, from answers about a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.options import DEFAULT_LAKE, AsJson, ConfigFile, LakeDir, Settings

app = typer.Typer(
    invoke_without_command=True,
    help="The cleaning certificate: precision and recall before and after, with intervals.",
)


@app.callback()
def show(
    context: typer.Context,
    lake: LakeDir = DEFAULT_LAKE,
    limit: Annotated[int, typer.Option(min=1, help="tags to print")] = 30,
    config: ConfigFile = None,
    set: Settings = None,
    json_: AsJson = False,
) -> None:
    """Print the certificate of the present tags, the most surely harmed first."""
    if context.invoked_subcommand:
        _refuse_misplaced(context, context.invoked_subcommand)
        return
    from flows.show import print_certificate
    from pipeline.certificate import certificate, harmed, judged
    from pipeline.config import load_config
    from storage.lake import Lake

    settings = load_config(config, set or []).publish
    with Lake.open(lake, read_only=True) as opened:
        found = certificate(opened)
    names = [tag.name for tag in harmed(found, settings)]
    told = len(judged(found, settings))
    print_certificate(found.to_dict() if found else None, names, told, limit, json_)


def _refuse_misplaced(context: typer.Context, command: str) -> None:
    """An option before the command's name is `show`'s, and the command would not see it."""
    from pipeline.errors import PlanError

    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.rstrip('_')}"
            raise PlanError(f"{option}: is not passed on; write it after `certify {command}`")


@app.command()
def sample(
    lake: LakeDir = DEFAULT_LAKE,
    out: Annotated[Path, typer.Option(help="the CSV file to write")] = Path("sample.csv"),
    size: Annotated[int, typer.Option(min=1, help="questions")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="of the draw")] = 0,
    truth: Annotated[
        bool, typer.Option("--truth", help="answer by the truth that the lake was ingested with")
    ] = False,
    config: ConfigFile = None,
    set: Settings = None,
) -> None:
    """Draw questions for a person, over all tags and what cleaning made of them."""
    from pipeline.answers import coverage, draw, write_questions
    from pipeline.config import load_config
    from pipeline.errors import PlanError
    from storage.lake import Lake

    if out.exists():
        raise PlanError(
            f"{out}: exists already; bring its answers in with `tagwright certify answers`, "
            "or name a new file"
        )
    least = load_config(config, set or []).publish.min_answers
    with Lake.open(lake, read_only=True) as opened:
        rows = draw(opened, size, seed, truth=truth)
        told, dropping, enough = coverage(opened, size, least)
    write_questions(out, rows)
    known = sum(row["answer"] != "" for row in rows)
    print(f"{out}: {len(rows)} questions, {known} answered; next: tagwright certify answers {out}")
    if told < dropping:
        print(
            f"of {dropping} tags that cleaning took something from, about {told} get the {least} "
            f"answers that tell whether it harmed them; all do with --size {enough}"
        )


@app.command()
def answers(
    file: Annotated[Path, typer.Argument(help="a file of `certify sample` with its answers")],
    lake: LakeDir = DEFAULT_LAKE,
) -> None:
    """Bring answers (yes, no or nothing) into the lake; they take the place of earlier ones."""
    from pipeline.answers import read_answers
    from storage.lake import Lake

    with Lake.open(lake) as opened:
        given, left = read_answers(opened, file)
    print(f"{given} answers, {left} questions without; next: tagwright certify")
