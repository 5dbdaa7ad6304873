"""How results are printed: tables for people, JSON for programs."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Sequence
from decimal import Decimal
from itertools import chain, count
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text


def _console() -> Console:
    # A pipe has no width of its own; cells must not be cut there.
    return Console(width=None if sys.stdout.isatty() else 200)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, list):
        return ", ".join(_cell(v) for v in value)
    return str(value)


def _draw(rows: Sequence[dict[str, Any]], names: Sequence[str], title: str | None = None) -> None:
    _draw_columns([[row[name] for row in rows] for name in names], names, title)


def _draw_columns(
    columns: Sequence[Sequence[Any]], names: Sequence[str], title: str | None = None
) -> None:
    # As `Text`, for rich would take "[b]" in a caption for markup.
    table = Table(
        title=None if title is None else Text(title), title_justify="left", header_style="bold"
    )
    for name, column in zip(names, columns, strict=True):
        numeric = any(isinstance(value, int | float) for value in column[:20])
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in zip(*columns, strict=True):
        table.add_row(*(Text(_cell(value)) for value in row))
    _console().print(table)


def _jsonable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):  # what DuckDB's sums are
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _jsonable(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(v) for v in value]
    return value


def print_json(value: Any) -> None:
    """One JSON document; NaN becomes null, bytes become hex, dates become text."""
    print(json.dumps(_jsonable(value), default=str, ensure_ascii=False, indent=2))


def print_table(rows: pa.Table, format: str) -> None:
    """Query results as a table, CSV, JSON or Parquet on standard output."""
    rows = rows.rename_columns(_distinct(rows.schema.names))
    if format == "json":
        print_json(rows.to_pylist())
    elif format == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(rows.schema.names)
        writer.writerows(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    elif format == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(rows, sys.stdout.buffer)
    else:
        _draw_columns([column.to_pylist() for column in rows.columns], rows.schema.names)


def _distinct(names: Sequence[str]) -> list[str]:
    """A name for each column: of a join's two columns `name` the second is `name_1`."""
    found: list[str] = []
    for name in names:
        tries = chain([name], (f"{name}_{n}" for n in count(1)))
        found.append(next(one for one in tries if one not in found))
    return found


def print_rows(rows: Sequence[dict[str, Any]], names: Sequence[str], as_json: bool) -> None:
    """Rows as a table, or as JSON."""
    if as_json:
        print_json(list(rows))
    elif rows:
        _draw(rows, names)
    else:
        print("none")


def print_label(label: dict[str, Any]) -> None:
    """One tag with its forms, merges and relatives."""
    print(f"{label['name']} ({label['kind']}), tag {label['tag_id']}, {label['mentions']} mentions")
    if label["threshold"] is not None:
        print(f"published threshold: {label['threshold']}")
    for part in ("is a kind of", "kinds of it"):
        if label[part]:
            print(f"{part}: {', '.join(label[part])}")
    for part in ("forms", "merges"):
        if label[part]:
            _draw(label[part], list(label[part][0]), part)


def print_status(status: dict[str, Any], as_json: bool) -> None:
    """The lake at a glance."""
    if as_json:
        print_json(status)
        return
    totals = {k: v for k, v in status.items() if k not in ("stages", "runs", "in_service")}
    for name, value in totals.items():
        print(f"{name.replace('_', ' '):<20} {value}")
    if status["stages"]:
        _draw(status["stages"], list(status["stages"][0]), "stages")
    if status["runs"]:
        _draw(status["runs"], list(status["runs"][0]), "newest runs")
    service = status["in_service"]
    print(f"in service: {service['model_digest']} ({service['reason']})" if service else "")


def print_why(why: dict[str, Any], as_json: bool) -> None:
    """The chain of evidence of a tag."""
    if as_json:
        print_json(why)
        return
    print(f"image {why['image']['name']} ({why['image']['image_id'][:12]})")
    for tag in why["tags"]:
        print(f"\n{tag['name']} ({tag['kind']}, tag {tag['tag_id']}): {tag['state']}")
        for part in ("evidence", "regions", "verdicts"):
            if tag[part]:
                _draw(tag[part], list(tag[part][0]), part)


def print_plan(stages: list[dict[str, Any]], as_json: bool) -> None:
    """Stages with what is left to do."""
    if as_json:
        print_json(stages)
    else:
        _draw(stages, list(stages[0]))


def print_demo(result: dict[str, Any], as_json: bool) -> None:
    """The demo's before/after table and where the report is."""
    if as_json:
        print_json(result)
        return
    _draw(result["steps"], list(result["steps"][0]), result["title"])
    print(f"report: {result['report']}")


def print_certificate(
    found: dict[str, Any] | None, harmed: Sequence[str], judged: int, limit: int, as_json: bool
) -> None:
    """A cleaning certificate; the tags `harmed` keep the lake from being published.

    `judged` says of how many tags there are answers enough to tell.
    """
    if as_json:
        print_json({"certificate": found, "harmed": harmed, "judged": judged})
        return
    if found is None:
        print("no certificate: no answers yet; draw questions: tagwright certify sample --out FILE")
        return
    rows = [
        {
            name.replace("_", " "): _interval(value) if isinstance(value, dict) else value
            for name, value in row.items()
        }
        for row in [found["overall"], *found["tags"][:limit]]
    ]
    _draw(rows, list(rows[0]), f"{found['answers']} answers by {' and '.join(found['sources'])}")
    print(found["method"])
    few = "; the others have too few answers (publish.min_answers)"
    print(
        f"harm can be told of {judged} of {found['dropping']} tags that cleaning took something "
        f"from{few if judged < found['dropping'] else ''}"
    )
    for name in harmed:
        print(f"harmed: {name}; it keeps `tagwright run` from publishing")


def _interval(value: dict[str, float]) -> str:
    if math.isnan(value["estimate"]):
        return ""
    return f"{value['estimate']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


def print_evaluation(found: dict[str, Any], as_json: bool) -> None:
    """Figures of a tagger: overall with intervals, per kind, best and worst tags."""
    if as_json:
        print_json(found)
        return
    _draw(found["overall"], ("figure", "value", "low", "high"), f"{found['images']} images")
    if found["kinds"]:
        _draw(found["kinds"], list(found["kinds"][0]), "by kind")
    shown = sorted((t for t in found["tags"] if t["AP"] is not None), key=lambda t: -t["AP"])
    names = ("tag", "kind", "positives", "threshold", "AP")
    if len(shown) > 2 * _FEW:
        _draw(shown[:_FEW], names, "best tags")
        _draw(shown[-_FEW:], names, "worst tags")
    elif shown:
        _draw(shown, names, "tags")
    print(found["rule"])
    for line in found["unread"]:
        print(f"left out: {line}", file=sys.stderr)


def print_caption_scores(found: dict[str, Any], as_json: bool) -> None:
    """A captioner's figure with its interval, its best and its worst captions."""
    if as_json:
        print_json(found)
        return
    _draw(found["overall"], ("figure", "value", "low", "high"), f"{found['images']} images")
    shown = sorted(found["captions"], key=lambda row: -row["CIDEr-D"])
    names = ("image", "caption", "CIDEr-D")
    _draw(shown[:_FEW], names, "best captions")
    _draw(shown[_FEW:][-_FEW:], names, "worst captions")
    print(found["rule"])
    for line in found["unread"]:
        print(f"left out: {line}", file=sys.stderr)


_FEW = 8


def print_bench(result: dict[str, Any], as_json: bool) -> None:
    """A benchmark's tables."""
    if as_json:
        print_json(result)
        return
    for title, rows in result["tables"].items():
        _draw(rows, list(rows[0]), title)
    for line in result.get("notes", []):
        print(line)
