"""`tagwright labels ...`: build, inspect, change, undo, exchange label systems."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.options import DEFAULT_LAKE, AsJson, ConfigFile, LakeDir, Settings, Workers

if TYPE_CHECKING:
    from parsing.labels import LabelSystem
    from pipeline.config import Config
    from storage.lake import Lake

app = typer.Typer(no_args_is_help=True, help="The label system: which words are which tag.")

KindName = Annotated[str | None, typer.Option("--kind", help="object, scene, attribute or action")]
System = Annotated[
    str | None, typer.Option("--system", help="starter, a version, or a file; by default in use")
]


@app.command()
def build(
    lake: LakeDir = DEFAULT_LAKE,
    ids: Annotated[int | None, typer.Option(min=1, help="at most so many tag IDs")] = None,
    seed: Annotated[
        list[str] | None,
        typer.Option(help="names that get a tag in any case: a vocabulary, all, or a text file"),
    ] = None,
    translations: Annotated[
        Path | None, typer.Option(help="a bilingual list as evidence for merges")
    ] = None,
    translations_of: Annotated[
        Path | None, typer.Option(help="the list it is aligned with by line")
    ] = None,
    captions: Annotated[
        str | None, typer.Option(help="count a file instead of the lake: one caption a line, or -")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="with --captions: the .csv to write, to be imported later")
    ] = None,
    workers: Workers = None,
    config: ConfigFile = None,
    set: Settings = None,
) -> None:
    """Count the corpus again and extend the label system in use; IDs stay as they are."""
    from flows.progress import Bars
    from pipeline.config import load_config
    from pipeline.labels import build as build_system

    given = {
        "ids": ids,
        "seeds": seed,
        "translations": None if translations is None else str(translations),
        "translations_of": None if translations_of is None else str(translations_of),
    }
    said = [
        f"label.{name}={json.dumps(to, ensure_ascii=False)}"
        for name, to in given.items()
        if to is not None
    ]
    wanted, lasting = load_config(config, [*(set or []), *said]), load_config(config, set or [])
    if captions is not None or out is not None:
        _build_from_file(captions, out, wanted)
        return
    from pipeline.work import cores

    _say(build_system(lake, wanted, lasting, workers or cores(), Bars()))


def _build_from_file(captions: str | None, out: Path | None, config: Config) -> None:
    from flows.lines import caption_lines
    from flows.progress import Bars
    from parsing.label_files import to_csv
    from pipeline.errors import PlanError
    from pipeline.label_captions import build_from_captions

    if captions is None or out is None or out.suffix != ".csv":
        raise PlanError("--captions FILE and --out SYSTEM.csv go together: a file in, a file out")
    built = build_from_captions(caption_lines(captions), config, Bars())
    out.write_text(to_csv(built), encoding="utf-8")
    _say(built)


@app.command()
def show(
    tag: Annotated[str, typer.Argument(help="a tag name, surface form or ID")],
    lake: LakeDir = DEFAULT_LAKE,
    system: System = None,
    kind: KindName = None,
    json_: AsJson = False,
) -> None:
    """A tag: its forms, the evidence of every merge, its place among the others."""
    from flows.show import print_json, print_label
    from pipeline.labels import label_of, system_named

    found = label_of(system_named(lake, system), tag, _kind(kind))
    print_json(found) if json_ else print_label(found)


@app.command()
def merge(
    into: Annotated[str, typer.Argument(help="the tag that stays")],
    other: Annotated[str, typer.Argument(help="the tag that becomes part of it")],
    lake: LakeDir = DEFAULT_LAKE,
    kind: KindName = None,
    config: ConfigFile = None,
    set: Settings = None,
) -> None:
    """Make two tags one; the ID of the other retires."""
    from parsing import label_edits

    _change(lake, config, set, lambda s: label_edits.merge(s, into, other, _kind(kind)))


@app.command()
def split(
    surface: Annotated[str, typer.Argument(help="a surface form, or a tag to take apart")],
    lake: LakeDir = DEFAULT_LAKE,
    kind: KindName = None,
    config: ConfigFile = None,
    set: Settings = None,
) -> None:
    """Give a surface form a tag of its own; undoes its merge for good."""
    from parsing import label_edits

    _change(lake, config, set, lambda s: label_edits.split(s, surface, _kind(kind)))


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="the new tag")],
    surfaces: Annotated[list[str] | None, typer.Argument(help="further surface forms")] = None,
    lake: LakeDir = DEFAULT_LAKE,
    kind: KindName = None,
    config: ConfigFile = None,
    set: Settings = None,
) -> None:
    """Add a tag with a new ID."""
    from parsing import label_edits

    _change(lake, config, set, lambda s: label_edits.add(s, name, _kind(kind), surfaces or ()))


@app.command()
def drop(
    surface: Annotated[str, typer.Argument(help="a surface form, or a tag to retire")],
    lake: LakeDir = DEFAULT_LAKE,
    kind: KindName = None,
    config: ConfigFile = None,
    set: Settings = None,
) -> None:
    """Let a surface form mean no tag, or retire a whole tag; no build takes it up anew."""
    from parsing import label_edits

    _change(lake, config, set, lambda s: label_edits.drop(s, surface, _kind(kind)))


@app.command()
def review(
    file: Annotated[Path, typer.Argument(help="a .csv or .json to write or, with --apply, read")],
    lake: LakeDir = DEFAULT_LAKE,
    apply: Annotated[bool, typer.Option("--apply", help="take the answers in")] = False,
    every: Annotated[bool, typer.Option("--all", help="list applied merges as well")] = False,
    config: ConfigFile = None,
    set: Settings = None,
) -> None:
    """Uncertain merges and picks as a file: set `state` to confirmed or rejected, then --apply."""
    from parsing.review import apply_review, questions, read_rows, to_text
    from pipeline.config import load_config
    from pipeline.errors import PlanError
    from pipeline.labels import system_named

    if file.suffix not in (".csv", ".json"):
        raise PlanError(f"{file}: name a .csv or a .json")
    if apply:
        answers = read_rows(file)
        _change(lake, config, set, lambda s: apply_review(s, answers))
        return
    if file.exists():
        raise PlanError(
            f"{file}: exists already; take its answers in with --apply, or name a new file"
        )
    least = load_config(config, set or []).label.min_mentions
    rows = questions(system_named(lake, None), every, least)
    file.write_text(to_text(rows, file.suffix), encoding="utf-8")
    picks = sum(not row["into"] for row in rows)
    print(f"wrote {len(rows) - picks} merges and {picks} picks to {file}; change `state`, then:")
    print(f"tagwright labels review {file} --apply")


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="starter, a version, or a file")],
    new: Annotated[str | None, typer.Argument(help="by default the one in use")] = None,
    lake: LakeDir = DEFAULT_LAKE,
    json_: AsJson = False,
) -> None:
    """What changed between two label systems, form by form."""
    from flows.show import print_rows
    from parsing import label_edits
    from pipeline.labels import system_named

    changes = label_edits.diff(system_named(lake, old), system_named(lake, new))
    names = ("what", "surface", "kind", "before", "after")
    print_rows([{n: getattr(c, n) for n in names} for c in changes], names, json_)


@app.command()
def export(
    dest: Annotated[Path, typer.Argument(help=".csv: one row a form; .txt: one tag a line")],
    thresholds: Annotated[
        Path | None, typer.Option(help="with a .txt: published thresholds, one a line")
    ] = None,
    lake: LakeDir = DEFAULT_LAKE,
    system: System = None,
) -> None:
    """Write a label system as a file."""
    from parsing.label_files import to_csv, to_published, to_thresholds
    from pipeline.errors import PlanError
    from pipeline.labels import system_named

    if dest.suffix not in (".csv", ".txt"):
        raise PlanError(f"{dest}: name a .csv (one row a surface form) or a .txt (one tag a line)")
    if thresholds is not None and dest.suffix != ".txt":
        raise PlanError(f"{thresholds}: goes with a .txt; a .csv has them in a column of its own")
    found = system_named(lake, system)
    text = to_csv(found) if dest.suffix == ".csv" else to_published(found)
    if thresholds is not None:
        thresholds.write_text(to_thresholds(found), "utf-8")
    dest.write_text(text, "utf-8")
    print(f"wrote {len(found.labels)} tags, {_forms(found)} surface forms to {dest}")


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="starter, a version, a .csv, or a published .txt")],
    thresholds: Annotated[
        Path | None, typer.Option(help="of a published .txt: one number a line, kept with it")
    ] = None,
    lake: LakeDir = DEFAULT_LAKE,
    config: ConfigFile = None,
    set: Settings = None,
) -> None:
    """Use a given label system in this lake; captions are counted, not read again."""
    from pipeline.labels import corpus_counts, system_named, with_counts

    given = system_named(lake, source, thresholds)
    _use(lake, config, set, lambda opened: with_counts(given, corpus_counts(opened)))


@app.command("map")
def map_(
    published: Annotated[Path, typer.Argument(help="a published list: one tag a line")],
    dest: Annotated[Path, typer.Argument(help="the CSV to write")],
    thresholds: Annotated[Path | None, typer.Option(help="one number a line")] = None,
    translations: Annotated[Path | None, typer.Option(help="one text a line")] = None,
    lake: LakeDir = DEFAULT_LAKE,
    system: System = None,
) -> None:
    """Which tag each line of a published list is in a label system of ours."""
    from parsing.label_files import PublishedList, mapping
    from pipeline.labels import system_named

    given = PublishedList.read(published, thresholds, translations)
    rows = list(mapping(given.system(), system_named(lake, system)))
    with dest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "tag", "our_id", "our_tag", "how", "threshold", "translation"])
        for row in rows:
            cut = given.thresholds[row[0]] if given.thresholds else ""
            word = given.translations[row[0]] if given.translations else ""
            writer.writerow([*("" if x is None else x for x in row), cut, word])
    print(f"{sum(row[2] is not None for row in rows)} of {len(rows)} tags have one of ours: {dest}")


@app.command("versions")
def versions_(lake: LakeDir = DEFAULT_LAKE, json_: AsJson = False) -> None:
    """Every label system this lake used."""
    from flows.show import print_rows
    from pipeline.labels import versions
    from storage.lake import Lake

    with Lake.open(lake, read_only=True) as opened:
        print_rows(versions(opened), ("version", "first_used", "in_use"), json_)


def _change(
    lake: Path, config: Path | None, settings: list[str] | None,
    edit: Callable[[LabelSystem], LabelSystem],
) -> None:  # fmt: skip
    from pipeline.labels import current_system

    _use(lake, config, settings, lambda opened: edit(current_system(opened)))


def _use(
    lake: Path, config: Path | None, settings: list[str] | None,
    edit: Callable[[Lake], LabelSystem],
) -> None:  # fmt: skip
    from pipeline.config import load_config
    from pipeline.labels import change

    system, changed = change(lake, load_config(config, settings or []), edit)
    if not changed:
        print("nothing changed")
        return
    _say(system)


def _say(system: LabelSystem) -> None:
    waiting = sum(m.state == "needs-review" for m in system.merges)
    print(
        f"label system {system.version}: {len(system.labels)} tags, {_forms(system)} surface "
        f"forms, {waiting} merges to review"
    )


def _forms(system: LabelSystem) -> int:
    return sum(s.tag_id is not None for s in system.surfaces)


def _kind(text: str | None) -> Any:
    from typing import get_args

    from parsing.graph import Kind
    from pipeline.errors import PlanError

    if text is not None and text not in get_args(Kind):
        raise PlanError(f"unknown kind {text!r}; choose from: {', '.join(get_args(Kind))}")
    return text
