"""Questions for a cleaning certificate: drawn from the lake into a CSV file, answers back as rows.

The chance of being drawn goes with one over the root of the cell's size (tag and stratum; Bankier's
power allocation): a tag a hundred times as frequent gets ten times as many questions, so rare tags
and rare strata have their share. Within that the draw is systematic over pairs in random order per
cell, so that every cell gets its number of questions, rounded up or down.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.certificate import STRATA
from pipeline.columns import constant, table_of
from pipeline.errors import SourceError
from pipeline.fingerprint import digest, digest_keys
from pipeline.scoring import TRUTH, UNCLEAR
from storage.lake import Lake

QUESTIONS = {
    "object": "Does the picture show: {}?",
    "scene": "Does the picture show, or is it taken in, at or near: {}?",
    "attribute": "Is something in the picture: {}?",
    "action": "Does somebody or something in the picture do this: {}?",
}
YES, NO, OPEN = {"yes", "y", "1", "true"}, {"no", "n", "0", "false"}, {"", "?"}
COLUMNS = (
    "image", "tag", "question", "answer", "stratum", "weight", "image_id", "tag_id",
    "label_version", "source",
)  # fmt: skip
STAGE = "certify"
_PAIRS = """
    SELECT s.image_id, s.tag_id, s.stratum, l.label_version, l.name AS tag, l.kind, i.uri AS image
    FROM tag_strata s JOIN current_labels l USING (tag_id) JOIN current_images i USING (image_id)
    ORDER BY s.tag_id, s.stratum, s.image_id
"""
_CELLS = """
    SELECT tag_id, stratum = 'dropped' AS dropped, stratum <> 'below-threshold' AS candidate,
           count(*) AS pairs
    FROM tag_strata GROUP BY tag_id, stratum ORDER BY tag_id, stratum
"""
_RIGHT = f"SELECT DISTINCT image_id, tag_id FROM ({TRUTH}) WHERE tag_id IS NOT NULL"
_KNOWN = "SELECT DISTINCT image_id FROM current_truth"

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def draw(lake: Lake, size: int, seed: int, *, truth: bool = False) -> list[dict[str, Any]]:
    """Questions about `size` pairs, or about all if there are fewer, in random order.

    With `truth` those about images whose truth is known are answered by it, but for what is neither
    right nor wrong.

    Raises:
        SourceError: the lake has no tags to ask about yet.
    """
    rows = lake.query(_PAIRS).to_pylist()
    if not rows:
        raise SourceError(f"{lake.path}: no tags to ask about yet; run `tagwright run` first")
    random = np.random.default_rng(seed)
    cells = [(row["tag_id"], row["stratum"]) for row in rows]
    sizes = Counter(cells)
    chance = chances(np.array([sizes[cell] for cell in cells], float), size)
    order = np.array(sorted(random.permutation(len(rows)).tolist(), key=cells.__getitem__))
    right = set(zip(*lake.query(_RIGHT).to_pydict().values(), strict=True)) if truth else set()
    known = set(lake.query(_KNOWN).column(0).to_pylist()) if truth else set()
    unclear = set(zip(*lake.query(UNCLEAR).to_pydict().values(), strict=True)) if truth else set()
    drawn = []
    for place in random.permutation(systematic(chance, order, random)).tolist():
        row = rows[place]
        pair = row["image_id"], row["tag_id"]
        told = row["image_id"] in known and pair not in unclear
        answer = "yes" if pair in right else "no"
        drawn.append(
            row | {
                "question": QUESTIONS[row["kind"]].format(row["tag"]),
                "weight": 1 / chance[place],
                "answer": answer if told else "",
                "source": "truth" if told else "",
            }
        )  # fmt: skip
    return drawn


def chances(cell_sizes: Doubles, size: int) -> Doubles:
    """The chance (P,) of each pair to be drawn, given the size (P,) of its cell; they add up to
    `size`, or all are 1."""
    wanted = 1 / np.sqrt(cell_sizes)
    chance = np.zeros(len(wanted))
    sure = np.zeros(len(wanted), bool)
    while True:
        chance[sure] = 1
        left = size - sure.sum()
        if left <= 0 or sure.all():
            return np.minimum(chance, 1)
        chance[~sure] = wanted[~sure] * left / wanted[~sure].sum()
        if not (chance[~sure] > 1).any():
            return chance
        sure |= chance > 1


def coverage(lake: Lake, size: int, least: int) -> tuple[int, int, int]:
    """What `size` questions can say of single tags.

    Returns:
        The tags that cleaning took something from of which `least` answers about candidates, or
        about all where there are fewer, are to be expected; how many such tags there are; and the
        questions that all of them take.
    """
    cells = lake.query(_CELLS).to_pydict()
    pairs = np.array(cells["pairs"], np.int64)
    candidates = pairs * np.array(cells["candidate"], bool)
    of_tag = np.unique(cells["tag_id"], return_inverse=True)[1]
    dropping = np.bincount(of_tag, cells["dropped"]) > 0
    wanted = np.minimum(least, np.bincount(of_tag, candidates)) - 1e-6
    of_pair, first = np.repeat(pairs, pairs).astype(float), np.cumsum(pairs) - pairs

    def told(asked: int) -> int:
        answers = np.bincount(of_tag, chances(of_pair, asked)[first] * candidates)
        return int((dropping & (answers > wanted)).sum())

    few, enough = 0, int(pairs.sum())
    while enough - few > 1:
        asked = (few + enough) // 2
        few, enough = (few, asked) if told(asked) == dropping.sum() else (asked, enough)
    return told(size), int(dropping.sum()), enough


def systematic(chance: Doubles, order: Ints, random: np.random.Generator) -> Ints:
    """The places that are drawn: every whole step of the chances added up in that order."""
    steps = np.floor(np.cumsum(chance[order]) + random.random() + 1e-9)
    return order[np.diff(steps, prepend=0) > 0]


def write_questions(path: Path, rows: list[dict[str, Any]]) -> None:
    """The questions as a CSV file for a person to fill in."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def read_answers(lake: Lake, path: Path) -> tuple[int, int]:
    """Make the answers of a file the lake's; they take the place of earlier ones. Questions without
    an answer are left out.

    Returns:
        How many questions have an answer, and how many have none.

    Raises:
        SourceError: the file is not one of ours, or an answer is not yes, no or empty.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            rows = [_answer(path, reader.line_num, row) for row in reader] if not missing else []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None
    if missing:
        raise SourceError(
            f"{path}: no column {', '.join(sorted(missing))}; fill in a file of "
            "`tagwright certify sample --out FILE`"
        )
    given = [row for row in rows if row["answer"]]
    if not given:
        raise SourceError(f"{path}: no answers; write yes or no into the column `answer`")
    _commit(lake, given, len(rows))
    return len(given), len(rows) - len(given)


def _answer(path: Path, line: int, row: dict[str, str]) -> dict[str, Any]:
    said = (row["answer"] or "").strip().lower()
    if said not in YES | NO | OPEN:
        raise SourceError(
            f"{path}, line {line}: answer {row['answer']!r}; write yes, no or nothing"
        )
    try:
        if row["stratum"] not in STRATA:
            raise ValueError(f"stratum {row['stratum']!r}")
        return {
            "image_id": row["image_id"], "label_version": row["label_version"],
            "tag_id": int(row["tag_id"]), "stratum": row["stratum"],
            "weight": float(row["weight"]), "source": row["source"] or "person",
            "answer": "yes" if said in YES else "no" if said in NO else "",
        }  # fmt: skip
    except (TypeError, ValueError) as error:
        raise SourceError(f"{path}, line {line}: {error}; leave that column as it was") from None


def _commit(lake: Lake, given: list[dict[str, Any]], asked: int) -> None:
    content = digest_keys(digest(row) for row in given)
    # Told again after others, the same answers are newest again: the ledger counts the times.
    times = lake.scalar("SELECT count(*) FROM ledger WHERE stage = $stage", {"stage": STAGE})
    work = digest([STAGE, content, times])
    rows = table_of("answers", given)
    rows = rows.append_column("work_id", constant(work, len(given), pa.string()))
    ledger = {
        "work_id": work, "stage": STAGE, "unit": "answers", "unit_digest": content,
        "fingerprint": STAGE, "artifact": None, "n_in": asked, "n_kept": len(given),
        "n_dropped": 0, "n_rejected": asked - len(given), "run_id": STAGE, "seconds": 0.0,
    }  # fmt: skip
    lake.commit({"answers": [lake.stage_file("answers", work, rows)]}, [ledger], STAGE)
