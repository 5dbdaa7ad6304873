"""What a benchmark is given: numbers by `--set`, a data set by `--data`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import PlanError, SourceError

Number = TypeVar("Number", int, float)


def number(settings: Mapping[str, Any], key: str, default: Number) -> Number:
    """The setting as a number of the default's kind.

    Raises:
        PlanError: it is none.
    """
    value = settings.get(key, default)
    kind = type(default)
    try:
        found = kind(value)
        fits = not isinstance(value, bool) and isfinite(found) and found == float(value)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        what = "whole number" if kind is int else "number"
        raise PlanError(f"--set {key}={value}: give a {what}, such as {default}")
    return found


def digest_of(data: Path) -> str:
    """A few digits for a data set's captions and the names and sizes of its pictures: in the names
    of its lakes they keep out those of others, and of the same before a picture was mended.

    Raises:
        SourceError: it has no captions.csv.
    """
    digest = sha256(_checked(data / "captions.csv").read_bytes())
    for path in sorted((data / "images").rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(data)} {path.stat().st_size}\n".encode())
    return digest.hexdigest()[:8]


def columns_of(path: Path, *names: str) -> list[tuple[str, ...]]:
    """These columns of a CSV file, row by row.

    Raises:
        SourceError: there is no such file, or no such column in it.
    """
    with _checked(path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in names if name not in (reader.fieldnames or ())]:
            raise SourceError(
                f"{path}: no column {', '.join(missing)}; the header must name {', '.join(names)}"
            )
        return [tuple(row[name] or "" for name in names) for row in reader]


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise SourceError(f"{path}: no such file; check --data")
    return path
