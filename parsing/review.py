"""What a person should look at in a label system, as rows to edit, and the answers taken in.

Two questions: whether two forms are one tag (a merge: `surface` into `into`), and whether a form is
a tag at all (a pick: `into` is empty).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from parsing.errors import ParsingError
from parsing.graph import Kind
from parsing.keys import PART
from parsing.label_edits import add, drop, find, merge, split
from parsing.labels import (
    APPLIED,
    DROPPED_BY_HAND,
    KEPT_BY_HAND,
    LabelSystem,
    Merge,
    MergeState,
    Surface,
)
from parsing.picturable import seen_share

COLUMNS = ("surface", "into", "kind", "evidence", "score", "state")
UNCERTAIN = (0.05, 0.5)
"""A pick is uncertain where a picture shows this share of a word's uses, as WordNet counts them."""
_BY_HAND = (KEPT_BY_HAND, DROPPED_BY_HAND)


def questions(
    system: LabelSystem, every: bool = False, least_mentions: int = 1
) -> list[dict[str, Any]]:
    """Uncertain merges, then uncertain picks, as rows of `COLUMNS`; the likeliest first.

    Args:
        every: applied merges as well, so that they can be rejected.
        least_mentions: rarer words are no tags, so they are not asked about.
    """
    merges = [m for m in system.merges if every or m.state == "needs-review"]
    rows = [
        (m.surface, m.into, system.kind_of(m), m.evidence, round(m.score, 4), m.state)
        for m in sorted(merges, key=lambda m: (-m.score, m.surface, m.into))
    ]
    picks = sorted(_picks(system, least_mentions), key=lambda row: (-row[4], row[0], row[2]))
    return [dict(zip(COLUMNS, row, strict=True)) for row in [*rows, *picks]]


def _picks(
    system: LabelSystem, least_mentions: int
) -> Iterator[tuple[str, str, Kind, str, float, str]]:
    names = {(x.tag_id, x.name) for x in system.labels}
    for s in system.surfaces:
        # A form of a tag is a question about a merge.
        named = s.tag_id is None or (s.tag_id, s.surface) in names
        if not named or s.mentions < least_mentions or s.reason in _BY_HAND:
            continue
        share = seen_share(s.surface, s.kind)
        if share is not None and UNCERTAIN[0] <= share < UNCERTAIN[1]:
            what = "none so far" if s.tag_id is None else "a tag so far"
            evidence = f"{what}: a picture shows {share:.0%} of its uses; {s.mentions} mentions"
            yield s.surface, "", s.kind, evidence, round(share, 4), "needs-review"


def to_text(rows: list[dict[str, Any]], suffix: str) -> str:
    """As `.csv`, or as `.json`: a list of objects."""
    if suffix == ".json":
        return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read_rows(path: Path) -> list[Mapping[str, Any]]:
    """The rows of a file that `to_text` wrote and a person edited.

    Raises:
        ParsingError: it cannot be read, or is no list of objects.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # Excel begins with a mark
        if path.suffix != ".json":
            return list(csv.DictReader(text.splitlines()))
        rows = json.loads(text)
    except (OSError, ValueError) as error:
        raise ParsingError(f"{path}: cannot be read: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ParsingError(f"{path}: is no list of objects, as `labels review` writes it.")
    return rows


def apply_review(system: LabelSystem, rows: Iterable[Mapping[str, Any]]) -> LabelSystem:
    """A person's answers: `confirmed` merges and picks are made, `rejected` ones undone.

    Neither is asked again.

    Raises:
        ParsingError: an unknown column, state, merge or word, with its row; then nothing changes.
    """
    for number, row in enumerate(rows, start=1):
        try:
            system = _answered(system, row)
        except ParsingError as error:
            raise ParsingError(f"Row {number}: {error}") from None
    return system


def _answered(system: LabelSystem, row: Mapping[str, Any]) -> LabelSystem:
    given = [row.get(column) for column in ("surface", "into", "kind", "state")]
    # A line that is too short has None where its columns are missing.
    if not all(isinstance(value, str) for value in given):
        raise ParsingError("Needs the columns surface, into, kind and state.")
    surface, into, kind, state = (str(value).strip() for value in given)
    if state not in get_args(MergeState):
        choices = ", ".join(get_args(MergeState))
        raise ParsingError(f"Unknown state {state!r}; choose from: {choices}.")
    if kind not in get_args(Kind):
        choices = ", ".join(get_args(Kind))
        raise ParsingError(f"Unknown kind {kind!r}; choose from: {choices}.")
    if into:
        return _merge_answer(system, surface, into, cast(Kind, kind), state)
    return _pick_answer(system, surface, cast(Kind, kind), state)


def _merge_answer(
    system: LabelSystem, surface: str, into: str, kind: Kind, state: str
) -> LabelSystem:
    def asked(m: Merge, system: LabelSystem) -> bool:
        # Two words may be two questions: to stroll is to walk, and a stroll is a walk.
        same_part = PART[system.kind_of(m)] == PART[kind]
        return same_part and (m.surface, m.into) == (surface, into)

    found = next((m for m in system.merges if asked(m, system)), None)
    if found is None:
        raise ParsingError(f"No merge of {surface!r} into {into!r} ({kind}) is known.")
    if found.state == state:
        return system
    if state == "confirmed" and found.state != "auto":
        one, other = find(system, surface, kind), find(system, into, kind)
        if one.tag_id != other.tag_id:
            system = merge(system, into, surface, kind)
    if state == "rejected" and found.state in APPLIED:
        system = split(system, surface, kind)
    merges = [
        replace(m, state=cast(MergeState, state)) if asked(m, system) else m for m in system.merges
    ]
    return replace(system, merges=tuple(merges))


def _pick_answer(system: LabelSystem, surface: str, kind: Kind, state: str) -> LabelSystem:
    if state not in ("confirmed", "rejected"):
        return system
    found = next((s for s in system.surfaces if (s.surface, s.kind) == (surface, kind)), None)
    if found is None:
        raise ParsingError(f"The captions never say {surface!r} ({kind}).")
    if state == "confirmed" and found.tag_id is None:
        system = add(system, surface, kind)
    if state == "rejected" and found.tag_id is not None:
        system = drop(system, surface, kind)
    reason = KEPT_BY_HAND if state == "confirmed" else DROPPED_BY_HAND

    def noted(s: Surface) -> Surface:
        return replace(s, reason=reason) if (s.surface, s.kind) == (surface, kind) else s

    return replace(system, surfaces=tuple(noted(s) for s in system.surfaces))
