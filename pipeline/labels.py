"""Label systems of a lake: read any version, adopt a new one; tags change with no model call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from parsing.graph import Kind
from parsing.hierarchy import parents
from parsing.keys import PART
from parsing.label_edits import find
from parsing.label_files import PublishedList, from_csv, starter
from parsing.labels import LabelSystem, Surface
from pipeline.config import Config
from pipeline.errors import PlanError
from pipeline.fingerprint import digest
from pipeline.label import PREVIOUS, BuildLabels, rows_of, system_of
from pipeline.reporting import Reporter
from pipeline.runner import Runner
from pipeline.stage import Counts, Result, Unit
from pipeline.work import Job, Staged, stage_rows
from storage.lake import Lake

STARTER = "starter"
_TABLES = {
    "labels": "labels", "surfaces": "label_surfaces", "merges": "label_merges",
    "thresholds": "label_thresholds",
}  # fmt: skip


def current_system(lake: Lake) -> LabelSystem:
    """The label system in use.

    Raises:
        PlanError: the lake has none yet.
    """
    found = system_of({name: lake.query(sql) for name, sql in PREVIOUS.items()})
    if found is None:
        raise PlanError(
            f"{lake.path}: no label system yet; run `tagwright labels build`, "
            "or `tagwright labels import starter`"
        )
    return found


def published_thresholds(lake: Lake) -> dict[int, float]:
    """By tag ID, the score from which the model of an imported list gives the tag; maybe none.

    They belong to the published model. The lake's own models have the table `thresholds`.
    """
    rows = lake.query(PREVIOUS["thresholds"]).to_pylist()
    return {row["tag_id"]: row["threshold"] for row in rows}


def versions(lake: Lake) -> list[dict[str, Any]]:
    """Every label system the lake ever used, the newest first."""
    rows: list[dict[str, Any]] = lake.query(
        "SELECT artifact AS version, min(committed_at) AS first_used, "
        "arg_max(artifact, seq) = (SELECT artifact FROM current_ledger WHERE stage = 'label') "
        "AS in_use FROM ledger WHERE stage = 'label' AND artifact IS NOT NULL "
        "GROUP BY artifact ORDER BY max(seq) DESC"
    ).to_pylist()
    return rows


def system_named(lake_path: Path, name: str | None, thresholds: Path | None = None) -> LabelSystem:
    """A label system by name: `starter`, a version of the lake or the start of one, a file, or
    (None) the one in use; a published list with its thresholds, if given.

    Raises:
        PlanError: no such version, several begin like that, or thresholds of no published list.
    """
    if thresholds is not None and (name is None or Path(name).suffix != ".txt"):
        raise PlanError(
            f"{thresholds}: thresholds belong to a published .txt list, one a line; {name} is none"
        )
    if name == STARTER:
        return starter()
    if name is not None and Path(name).suffix in (".csv", ".txt"):
        return read_system(Path(name), thresholds)
    with Lake.open(lake_path, read_only=True) as lake:
        if name is None:
            return current_system(lake)
        known = [row["version"] for row in versions(lake)]
        fitting = [version for version in known if version.startswith(name)]
        if len(fitting) != 1:
            what = "several label systems begin" if fitting else "no label system begins"
            choices = ", ".join([STARTER, *known])
            raise PlanError(f"{what} with {name!r}; choose from: {choices}")
        return _version(lake, fitting[0])


def _version(lake: Lake, version: str) -> LabelSystem:
    tables = {
        name: lake.query(
            f"SELECT DISTINCT * EXCLUDE (work_id) FROM {table} WHERE label_version = $version",
            {"version": version},
        )
        for name, table in _TABLES.items()
    }
    tables["ever_free"] = lake.query(PREVIOUS["ever_free"])
    found = system_of(tables)
    assert found is not None, f"the ledger names {version}, so its rows are there"
    return LabelSystem(
        tuple(sorted(found.labels, key=lambda x: x.tag_id)),
        tuple(sorted(found.surfaces, key=lambda s: (s.surface, s.kind))),
        tuple(sorted(found.merges, key=lambda m: (m.surface, m.into, m.tag_id))),
        found.ever_free,
        tuple(sorted(found.thresholds)),
    )


def read_system(path: Path, thresholds: Path | None = None) -> LabelSystem:
    """A label system from a file: a `.csv` of `labels export`, or a published `.txt` list.

    Raises:
        PlanError: the file cannot be read.
        ParsingError: it holds no label system.
    """
    if path.suffix == ".txt":
        return PublishedList.read(path, thresholds).system()
    try:
        return from_csv(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: cannot be read: {error}") from error


def with_counts(system: LabelSystem, counts: Mapping[tuple[str, Kind], int]) -> LabelSystem:
    """The same system with the mentions of a corpus; forms that it lacks are listed as dropped.

    A form counts for the tag of its part of speech, as in a build: what the system calls an object
    a parser may call a scene.
    """
    tags = {(s.surface, PART[s.kind]): s.tag_id for s in system.surfaces if s.tag_id is not None}
    rows = {
        (s.surface, s.kind): replace(s, mentions=counts.get((s.surface, s.kind), 0))
        for s in system.surfaces
    }
    lacking = "not in the label system that was imported"
    for (surface, kind), number in counts.items():
        made = Surface(surface, kind, None, "dropped", lacking, number)
        if (tag_id := tags.get((surface, PART[kind]))) is not None:
            made = replace(made, tag_id=tag_id, state="kept", reason=None)
        rows.setdefault((surface, kind), made)
    total: dict[int | None, int] = {}
    for s in rows.values():
        total[s.tag_id] = total.get(s.tag_id, 0) + s.mentions
    labels = tuple(replace(x, mentions=total.get(x.tag_id, 0)) for x in system.labels)
    return replace(system, labels=labels, surfaces=tuple(rows[place] for place in sorted(rows)))


def corpus_counts(lake: Lake) -> dict[tuple[str, Kind], int]:
    """Mentions of each (surface, kind) in the training images' own captions."""
    rows = lake.query(
        "SELECT surface, m.kind, count(*) AS mentions FROM current_mentions m "
        "JOIN current_images i USING (image_id) "
        "WHERE m.source = 'original' AND i.split = 'train' GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    return {(row["surface"], row["kind"]): row["mentions"] for row in rows}


def adopt(lake: Path, config: Config, system: LabelSystem) -> bool:
    """Make a label system the one in use, whatever is; False when it is already."""
    return change(lake, config, lambda _: system)[1]


def change(
    lake: Path, config: Config, edit: Callable[[Lake], LabelSystem]
) -> tuple[LabelSystem, bool]:
    """Make what `edit` gives the label system in use; False when it is already.

    Of two changes at once the second begins with what the first has made. Tags are views over
    mentions, so they follow at once. Scores and regions of merged tags follow to the merged tag;
    those of a tag that lost a form wait for the next run's models.
    """
    started = time.perf_counter()
    runner = Runner(lake, config)
    with runner.lake, runner.alone("label"):
        system = edit(runner.lake)
        now = runner.current("label")
        if now is not None and now["artifact"] == system.version:
            return system, False
        change = digest([system.version, now["work_id"] if now else None])
        job = Job(
            runner.lake.path, config, runner.cycle, "label", runner.fingerprint("label"),
            (Unit("corpus", change),),
        )  # fmt: skip
        kept = sum(s.state == "kept" for s in system.surfaces)
        counts = Counts(len(system.surfaces), kept, len(system.surfaces) - kept)
        result = Result(rows_of(system), {"corpus": counts}, artifact=system.version)
        files = stage_rows(job, runner.lake, result)
        seconds = time.perf_counter() - started
        runner.commit(Staged(job, files, result.counts, result.artifact, seconds))
    return system, True


def build(
    lake: Path, config: Config, lasting: Config, workers: int, reporter: Reporter
) -> LabelSystem:
    """Extend the system in use by the captions and by what `config` names, and use the result.

    It is in use like one that was edited: a run with the settings of `lasting` keeps it.
    """
    stage = BuildLabels(config, cycle=1)
    stage.check()
    runner = Runner(lake, config, workers=workers, reporter=reporter)
    with runner.lake:
        runner.run(until="parse", command="labels build")

    def built(opened: Lake) -> LabelSystem:
        tables = {name: opened.query(sql) for name, sql in stage.inputs.items()}
        with reporter.stage("label", 1) as advance:
            system = stage.built(tables, opened.query)
            advance(1)
        return system

    return change(lake, lasting, built)[0]


def label_of(system: LabelSystem, tag: str, kind: Kind | None) -> dict[str, Any]:
    """A tag, by ID, name or surface form, with everything that is known of it."""
    names = {label.tag_id: label.name for label in system.labels}
    if tag.isdecimal() and int(tag) in names:
        tag_id: int | None = int(tag)
    else:
        tag_id = find(system, tag, kind).tag_id
    (label,) = [x for x in system.labels if x.tag_id == tag_id]
    above = parents(system)
    forms = [s for s in system.surfaces if s.tag_id == tag_id]
    surfaces = {s.surface for s in forms}
    merges = [m for m in system.merges if m.tag_id == tag_id or {m.surface, m.into} & surfaces]
    return {
        "tag_id": label.tag_id, "name": label.name, "kind": label.kind, "mentions": label.mentions,
        "threshold": dict(system.thresholds).get(label.tag_id),
        "is a kind of": [names[p] for p in above.get(label.tag_id, ())],
        "kinds of it": sorted(names[c] for c, over in above.items() if tag_id in over),
        "forms": [
            {"surface": s.surface, "kind": s.kind, "mentions": s.mentions, "why": s.reason or ""}
            for s in forms
        ],
        "merges": [
            {"surface": m.surface, "into": m.into, "state": m.state, "score": m.score,
             "evidence": m.evidence}
            for m in merges
        ],
    }  # fmt: skip
