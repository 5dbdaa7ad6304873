"""The cleaning certificate: precision and recall before and after, per tag and overall.

Questions are drawn from strata (`tag_strata`): per tag what cleaning dropped, what it kept with and
without doubt, and pairs just below the threshold. Of each stratum some pairs are answered and the
others are not. How many of those are right is simulated: the share that is right is drawn from a
beta distribution that has seen the stratum's answers, weighted by what each stands for, and,
counting as two answers, those of the same stratum in all tags; then each unanswered pair is right
or wrong by chance (beta-binomial, a finite population). A figure is its mean over the simulations,
its interval the middle 95 %. Answered pairs are certain, so a stratum that is answered whole has no
interval, and one that nobody asked about has a wide one.

Recall is among candidates and pairs just below the threshold: what nobody and nothing suggests is
not asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.config import PublishConfig
from storage.lake import Lake

STRATA = ("dropped", "kept-doubtful", "kept-sure", "below-threshold")
METHOD = (
    "stratified sample; 95 % intervals of a beta-binomial simulation; recall among candidates and "
    "pairs just below the threshold"
)
CERTIFICATE = {
    "population": "SELECT tag_id, stratum, count(*) AS pairs FROM tag_strata GROUP BY ALL "
    "ORDER BY ALL",
    # Merged tags may bring two answers to what is one question now: one yes is enough.
    "answers": """
        SELECT s.tag_id, s.stratum, max(a.weight) AS weight, bool_or(a.answer = 'yes') AS right,
               min(a.source) AS source
        FROM current_answers a
        JOIN tag_ids f ON f.label_version = a.label_version AND f.made_as = a.tag_id
        JOIN tag_strata s ON s.image_id = a.image_id AND s.tag_id = f.tag_id
        GROUP BY s.image_id, s.tag_id, s.stratum ORDER BY ALL
    """,
    "names": "SELECT tag_id, name, kind FROM current_labels ORDER BY tag_id",
}
"""What `certificate_of` reads."""
DRAWS = 1000
BORROWED = 2.0
"""For how many answers the other tags' answers in the same stratum count."""

Doubles = npt.NDArray[np.float64]


class Figure(NamedTuple):
    """A share with its 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class TagCertificate:
    """What cleaning did to a tag, or to all: `lost` is the share of right candidates dropped."""

    name: str
    kind: str
    candidates: int
    dropped: int
    answers: int  # about candidates
    precision_before: Figure
    precision_after: Figure
    recall_before: Figure
    recall_after: Figure
    lost: Figure


@dataclass(frozen=True)
class Certificate:
    """All tags that have an answer, the most surely harmed first."""

    answers: int
    sources: tuple[str, ...]
    dropping: int  # tags that cleaning took something from, with answers or without
    overall: TagCertificate
    tags: tuple[TagCertificate, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain values; a figure is {estimate, low, high}."""
        return {
            "answers": self.answers, "sources": list(self.sources), "method": METHOD,
            "dropping": self.dropping,
            "overall": _plain(self.overall), "tags": [_plain(tag) for tag in self.tags],
        }  # fmt: skip


def certificate(lake: Lake) -> Certificate | None:
    """The certificate of a lake's present tags; None without answers."""
    return certificate_of({name: lake.query(sql) for name, sql in CERTIFICATE.items()})


def certificate_of(tables: Mapping[str, pa.Table]) -> Certificate | None:
    """The certificate from rows of the queries `CERTIFICATE`; None without answers."""
    answers = tables["answers"].to_pydict()
    if not answers["tag_id"]:
        return None
    pairs = _by_cell(tables["population"].to_pydict())
    cells: dict[tuple[int, int], list[tuple[float, bool]]] = {}
    for tag, stratum, weight, right, _ in zip(*answers.values(), strict=True):
        cells.setdefault((tag, STRATA.index(stratum)), []).append((weight, right))
    random = np.random.default_rng(0)
    everything = [
        [answer for (_, of), given in cells.items() if of == place for answer in given]
        for place in range(len(STRATA))
    ]
    pooled = [_share(random, given) for given in everything]
    names = {row["tag_id"]: row for row in tables["names"].to_pylist()}
    rows = []
    for tag in sorted({tag for tag, _ in cells}):
        given = [cells.get((tag, place), []) for place in range(len(STRATA))]
        name, kind = names[tag]["name"], names[tag]["kind"]
        rows.append(_figures(random, name, kind, pairs[tag], given, pooled))
    rows.sort(key=lambda row: (-row.lost.low, -row.lost.estimate, row.name))
    sizes = np.sum(list(pairs.values()), axis=0)
    overall = _figures(random, "all tags", "all", sizes, everything, pooled)
    sources = tuple(sorted(set(answers["source"])))
    dropping = sum(bool(of_tag[0]) for of_tag in pairs.values())
    return Certificate(len(answers["tag_id"]), sources, dropping, overall, tuple(rows))


def harmed(found: Certificate | None, config: PublishConfig) -> list[TagCertificate]:
    """Tags that surely lost more than is allowed: by the lower end of the interval."""
    return [tag for tag in judged(found, config) if tag.lost.low > config.allow_harm]


def judged(found: Certificate | None, config: PublishConfig) -> list[TagCertificate]:
    """Tags that cleaning took something from, with answers enough to say whether it harmed them.

    Of a tag with fewer candidates than that, answers about all of them are enough.
    """
    return [
        tag
        for tag in (found.tags if found else ())
        if tag.dropped and tag.answers >= min(config.min_answers, tag.candidates)
    ]


def _plain(tag: TagCertificate) -> dict[str, Any]:
    return {
        name: value._asdict() if isinstance(value, Figure) else value
        for name, value in vars(tag).items()
    }


def _by_cell(population: Mapping[str, list[Any]]) -> dict[int, Doubles]:
    """Per tag the pairs (4,) in each stratum."""
    sizes: dict[int, Doubles] = {}
    for tag, stratum, pairs in zip(*population.values(), strict=True):
        sizes.setdefault(tag, np.zeros(len(STRATA)))[STRATA.index(stratum)] = pairs
    return sizes


def _seen(answers: list[tuple[float, bool]]) -> tuple[float, float]:
    """Right and wrong among what is not answered, in answers of equal weight that tell as much
    (Kish): each answer stands for its weight less itself."""
    if not answers:
        return 0.0, 0.0
    weights, right = (np.array(column, float) for column in zip(*answers, strict=True))
    weights = np.maximum(weights - 1, 1e-9)
    count = weights.sum() ** 2 / np.square(weights).sum()
    share = float(weights @ right / weights.sum())
    return count * share, count * (1 - share)


def _share(random: np.random.Generator, answers: list[tuple[float, bool]]) -> Doubles:
    """Draws (DRAWS,) of a stratum's share of right pairs over all tags."""
    right, wrong = _seen(answers)
    return random.beta(right + 0.5, wrong + 0.5, DRAWS)


def _right(
    random: np.random.Generator, pairs: float, answers: list[tuple[float, bool]], pooled: Doubles
) -> Doubles:
    """Draws (DRAWS,) of how many of a cell's pairs are right."""
    known = sum(right for _, right in answers)
    if pairs == len(answers):
        return np.full(DRAWS, float(known))
    right, wrong = _seen(answers)
    # At least a little of both, which a beta distribution needs.
    alpha = np.maximum(right + BORROWED * pooled, 1e-6)
    beta = np.maximum(wrong + BORROWED * (1 - pooled), 1e-6)
    rest = random.binomial(int(pairs) - len(answers), random.beta(alpha, beta))
    return known + rest.astype(float)


def _figures(
    random: np.random.Generator, name: str, kind: str, pairs: Doubles,
    answers: list[list[tuple[float, bool]]], pooled: list[Doubles],
) -> TagCertificate:  # fmt: skip
    """The figures of a tag with `pairs` (4,), answers and pooled shares by stratum."""
    cells = zip(pairs, answers, pooled, strict=True)
    dropped, doubtful, sure, below = (_right(random, *cell) for cell in cells)
    kept = doubtful + sure
    true = dropped + kept + below
    return TagCertificate(
        name, kind, int(pairs[:3].sum()), int(pairs[0]), sum(map(len, answers[:3])),
        precision_before=_figure(dropped + kept, np.full(DRAWS, pairs[:3].sum())),
        precision_after=_figure(kept, np.full(DRAWS, pairs[1:3].sum())),
        recall_before=_figure(dropped + kept, true),
        recall_after=_figure(kept, true),
        lost=_figure(dropped, dropped + kept),
    )  # fmt: skip


def _figure(part: Doubles, whole: Doubles) -> Figure:
    """A share over all draws; of nothing, nothing is known."""
    shares = part[whole > 0] / whole[whole > 0]
    if not len(shares):
        return Figure(float("nan"), float("nan"), float("nan"))
    low, high = np.percentile(shares, (2.5, 97.5))
    return Figure(float(shares.mean()), float(low), float(high))
