"""Published benchmark files: images and the labels that are known to be in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parsing.label_files import PublishedList
from pipeline.columns import Floats
from pipeline.errors import SourceError


@dataclass(frozen=True)
class BenchmarkSet:
    """Images by path and their labels (N, L), 1 where one is known to be there."""

    images: list[Path]
    names: tuple[str, ...]
    truth: Floats


def read_benchmark(annotations: Path, names: Path, images: Path) -> BenchmarkSet:
    """The files of OpenImages-common/-rare ("path,tag,tag") and HICO, ImageNet ("file,id id id").

    A line is an image. Its labels are names of the list, or, where all of them are numbers, lines
    of the list from 0. A line without a label is an image without any of them. A name that the list
    holds twice counts for both (FACTS 5.1, 5.2).

    Raises:
        SourceError: a file cannot be read, is empty, or names a label that the list has not.
    """
    listed = PublishedList.read(names).names
    places: dict[str, list[int]] = {}
    for place, name in enumerate(listed):
        places.setdefault(name, []).append(place)
    try:
        lines = annotations.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{annotations}: cannot be read: {error}") from error
    rows = [(n, line.strip()) for n, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise SourceError(f"{annotations}: holds no image")
    paths, truth = [], np.zeros((len(rows), len(listed)), np.float32)
    for row, (number, line) in enumerate(rows):
        path, _, rest = line.partition(",")
        paths.append(images / path.strip())
        for column in _columns(rest, places, len(listed), f"{annotations}, line {number}"):
            truth[row, column] = 1.0
    return BenchmarkSet(paths, listed, truth)


def _columns(text: str, places: dict[str, list[int]], count: int, where: str) -> list[int]:
    numbers = text.split()
    if numbers and all(number.isdecimal() for number in numbers) and text.strip() not in places:
        columns = [int(number) for number in numbers]
        if max(columns) >= count:
            raise SourceError(f"{where}: label {max(columns)}, but the list has {count} names")
        return columns
    found = []
    for name in (part.strip() for part in text.split(",")):
        if name and name not in places:
            raise SourceError(f"{where}: label {name!r} is not in the list of names")
        found += places.get(name, [])
    return found
