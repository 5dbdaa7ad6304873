"""Label systems as files: one row per surface form, published tag lists, the starter system."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast, get_args

from parsing import lexicon, wordnet
from parsing.errors import ParsingError
from parsing.graph import Kind
from parsing.keys import PART
from parsing.labels import APPLIED, Label, LabelSystem, Merge, MergeState, Surface

COLUMNS = ("tag_id", "tag", "kind", "surface", "state", "evidence", "score")
THRESHOLD = "threshold"
"""A further column, only of systems with published thresholds; in the row of the tag's name."""
MAX_ID = 2**31 - 1
_SENSES: tuple[tuple[Kind, str], ...] = (("object", "n"), ("action", "v"), ("attribute", "a"))


def to_csv(system: LabelSystem) -> str:
    """One row per surface form; `state` is `tag` for the tag's own name, else the merge's."""
    labels = {label.tag_id: label for label in system.labels}
    merges = {(m.tag_id, m.surface): m for m in system.merges if m.state in APPLIED}
    rows = []
    for s in system.surfaces:
        if s.tag_id is None:
            continue
        label, merge = labels[s.tag_id], merges.get((s.tag_id, s.surface))
        own = s.surface == label.name
        why = ("tag", "", "") if own else ("auto", "", "")
        if not own and merge is not None:
            why = (merge.state, merge.evidence, f"{merge.score:.4g}")
        # Readers take a tag's kind from its first row.
        rows.append((s.tag_id, not own, s.surface, s.kind != label.kind, s.kind, label.name, why))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    cuts = dict(system.thresholds)
    writer.writerow([*COLUMNS, *([THRESHOLD] if cuts else [])])
    for tag_id, other, surface, _, kind, name, why in sorted(rows):
        cut = [] if not cuts else ["" if other else cuts.get(tag_id, "")]
        writer.writerow([tag_id, name, kind, surface, *why, *cut])
    return out.getvalue()


def from_csv(text: str, where: str = "the file") -> LabelSystem:
    """The system that `to_csv` wrote, or a table by hand; a form that a tag has twice counts once.

    Raises:
        ParsingError: no tag, a missing column, a bad ID, name, kind, state or score, two names of
            one ID, a form of two tags, a name merged into another tag (a cycle is one such).
    """
    reader = csv.DictReader(io.StringIO(text))
    missing = {"tag_id", "tag", "kind", "surface"} - set(reader.fieldnames or ())
    if missing:
        raise ParsingError(f"{where}: lacks the column {', '.join(sorted(missing))}.")
    labels: dict[int, Label] = {}
    surfaces: dict[tuple[str, Kind], Surface] = {}
    merges, cuts = [], dict[int, float]()
    for line, row in enumerate(reader, start=2):
        at = f"{where}, line {line}"
        tag_id, name = _number(row["tag_id"], at), _name(row["tag"], "tag", at)
        surface, kind = _name(row["surface"], "surface", at), _kind(row["kind"], at)
        label = labels.setdefault(tag_id, Label(tag_id, name, kind, 0))
        if label.name != name:
            raise ParsingError(f"{at}: ID {tag_id} is both {label.name!r} and {name!r}.")
        made = Surface(surface, kind, tag_id, "kept", None, 0)
        if (other := surfaces.setdefault((surface, kind), made)).tag_id != tag_id:
            raise ParsingError(
                f"{at}: {surface!r} ({kind}) is a form of tags {other.tag_id} and {tag_id}."
            )
        if text := (row.get(THRESHOLD) or "").strip():
            cuts[tag_id] = _threshold(text, at)
        if surface != name and other is made:
            evidence, score = row.get("evidence") or "imported", _score(row.get("score"), at)
            state = _state(row.get("state"), at)
            merges.append(Merge(tag_id, surface, name, evidence, score, state))
    if not labels:
        raise ParsingError(f"{where}: has no tag; a label system needs at least one.")
    for label in labels.values():
        own = surfaces.get((label.name, label.kind))
        if own is None:
            raise ParsingError(f"{where}: tag {label.tag_id} {label.name!r} lacks its own form.")
        if own.tag_id != label.tag_id:
            raise ParsingError(
                f"{where}: {label.name!r}, the name of tag {label.tag_id}, is merged into tag "
                f"{own.tag_id}: a tag's name is a form of that tag."
            )
    ordered = sorted(surfaces.values(), key=lambda s: (s.surface, s.kind))
    rows = sorted(merges, key=lambda m: (m.surface, m.into, m.tag_id))
    by_id = tuple(labels[tag_id] for tag_id in sorted(labels))
    return LabelSystem(by_id, tuple(ordered), tuple(rows), thresholds=tuple(sorted(cuts.items())))


@cache
def starter() -> LabelSystem:
    """The label system in the package: 4,585 tag IDs (docs/labels.md)."""
    path = lexicon.DATA / "starter" / "starter.csv"
    return from_csv(path.read_text(encoding="utf-8"), "the starter system")


# ---- published lists ---------------------------------------------------------------------------


@dataclass(frozen=True)
class PublishedList:
    """A tag list as RAM, RAM++ and Tag2Text publish it: one tag a line, the line is the ID."""

    names: tuple[str, ...]
    thresholds: tuple[float, ...] | None = None
    translations: tuple[str, ...] | None = None

    @classmethod
    def read(
        cls, path: Path, thresholds: Path | None = None, translations: Path | None = None
    ) -> PublishedList:
        """Files aligned by line; trailing spaces are no part of a name.

        Raises:
            ParsingError: an unreadable file, an empty tag, another number of lines, no number.
        """
        names = _lines(path)
        if not names:
            raise ParsingError(f"{path}: has no tag; name a file with one tag a line.")
        for line, name in enumerate(names, start=1):
            if not name:
                raise ParsingError(f"{path}, line {line}: empty; the line is the tag's ID.")
        numbers = None
        if thresholds is not None:
            texts = enumerate(_aligned(thresholds, names, path), start=1)
            numbers = tuple(_threshold(text, f"{thresholds}, line {line}") for line, text in texts)
        words = None if translations is None else tuple(_aligned(translations, names, path))
        return cls(tuple(names), numbers, words)

    def system(self) -> LabelSystem:
        """As a label system with these very IDs.

        A name that comes again is another sense with the same spelling (Tag2Text lists objects,
        then actions, then attributes): it gets the next kind that is free.

        Raises:
            ParsingError: a name comes more often than there are kinds.
        """
        taken: set[tuple[str, str]] = set()
        labels = []
        counts = Counter(name.lower() for name in self.names)
        for tag_id, entry in enumerate(self.names):
            name = entry.lower()
            alone = counts[entry.lower()] == 1
            kinds = [wordnet.likely_kind(name)] if alone else _senses_in_order(name)
            free = [kind for kind in kinds if (name, PART[kind]) not in taken]
            if not free:
                raise ParsingError(f"Line {tag_id + 1}: {name!r} comes more than three times.")
            taken.add((name, PART[free[0]]))
            labels.append(Label(tag_id, name, free[0], 0))
        surfaces = [Surface(x.name, x.kind, x.tag_id, "kept", None, 0) for x in labels]
        surfaces.sort(key=lambda s: (s.surface, s.kind))
        cuts = tuple(enumerate(self.thresholds or ()))
        return LabelSystem(tuple(labels), tuple(surfaces), thresholds=cuts)


def _senses_in_order(name: str) -> list[Kind]:
    """The kinds of a name that is listed several times, as Tag2Text orders them."""
    known = [kind for kind, pos in _SENSES if wordnet.has(name, pos)]
    return [*known, *(kind for kind, _ in _SENSES if kind not in known)]


def mapping(old: LabelSystem, new: LabelSystem) -> Iterator[tuple[int, str, int | None, str, str]]:
    """For each tag of one system its tag in another: (ID, name, ID, name, how it was found)."""
    names = {label.tag_id: label.name for label in new.labels}
    forms = {(s.surface, PART[s.kind]): s.tag_id for s in new.surfaces if s.tag_id is not None}
    aliases: dict[int, list[Surface]] = {}
    for s in old.surfaces:
        if s.tag_id is not None:
            aliases.setdefault(s.tag_id, []).append(s)
    for label in old.labels:
        part = PART[label.kind]
        others = [s.surface for s in aliases.get(label.tag_id, []) if s.surface != label.name]
        ways = [(label.name, "name"), *((form, f"form {form}") for form in others)]
        ways.append((wordnet.lemma(label.name, part[0], inflected=True), "base form"))
        hit = next(((forms[f, part], how) for f, how in ways if (f, part) in forms), None)
        tag_id, how = hit if hit else (None, "")
        yield label.tag_id, label.name, tag_id, names[tag_id] if tag_id is not None else "", how


def to_published(system: LabelSystem) -> str:
    """One tag a line in ID order.

    Raises:
        ParsingError: an ID is retired, so lines could not be IDs.
    """
    ids = [label.tag_id for label in system.labels]
    if ids != list(range(len(ids))):
        gap = next(i for i, tag_id in enumerate(ids) if i != tag_id)
        raise ParsingError(f"ID {gap} is retired, so lines are no IDs: export a .csv instead.")
    return "".join(f"{label.name}\n" for label in system.labels)


def to_thresholds(system: LabelSystem) -> str:
    """The published thresholds, one a line, aligned with `to_published`.

    Raises:
        ParsingError: there are none, or not for every tag.
    """
    if not system.thresholds:
        raise ParsingError(
            "This label system has no published thresholds: import them with its list."
        )
    cuts = dict(system.thresholds)
    for label in system.labels:
        if label.tag_id not in cuts:
            raise ParsingError(
                f"Tag {label.tag_id} {label.name!r} has no published threshold, so lines could "
                "not be aligned: export a .csv instead."
            )
    return "".join(f"{cuts[label.tag_id]}\n" for label in system.labels)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # Excel begins with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise ParsingError(f"{path}: cannot be read: {error}.") from error
    lines = text.replace("\r\n", "\n").split("\n")
    return [line.strip() for line in (lines[:-1] if lines[-1] == "" else lines)]


def _aligned(path: Path, names: Sequence[str], of: Path) -> list[str]:
    lines = _lines(path)
    if len(lines) != len(names):
        raise ParsingError(f"{path}: {len(lines)} lines, but {of} has {len(names)} tags.")
    return lines


def _threshold(text: str, where: str) -> float:
    try:
        cut = float(text)
    except ValueError:
        cut = -1.0
    if not 0 <= cut <= 1:
        raise ParsingError(f"{where}: {text!r} is no threshold: a number from 0 to 1.")
    return cut


def _number(text: str, at: str) -> int:
    try:
        number = int(text)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number <= MAX_ID:
        raise ParsingError(f"{at}: {text!r} is no tag ID: a whole number from 0 to {MAX_ID}.")
    return number


def _name(text: str | None, column: str, at: str) -> str:
    name = (text or "").strip().lower()  # as captions are read
    if not name or "\n" in name:
        raise ParsingError(f"{at}: {name!r} is no {column}: a name in one line.")
    return name


def _kind(text: str | None, at: str) -> Kind:
    if text not in get_args(Kind):
        choices = ", ".join(get_args(Kind))
        raise ParsingError(f"{at}: unknown kind {text!r}; choose from: {choices}.")
    return cast(Kind, text)


def _score(text: str | None, at: str) -> float:
    try:
        score = float(text or 1)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ParsingError(f"{at}: {text!r} is no score: a number.")
    return score


def _state(text: str | None, at: str) -> MergeState:
    """Of a merge that the file applies: a form in it is one of the tag."""
    state = (text or "").strip() or "auto"
    if state not in APPLIED:
        raise ParsingError(f"{at}: unknown state {state!r}; choose from: {', '.join(APPLIED)}.")
    return state
