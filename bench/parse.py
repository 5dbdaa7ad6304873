"""The parser: how right and how fast, beside spaCy alone and the published SceneGraphParser.

Right: against the labelled captions of tests/parsing (docs/parser.md), by halves. Fast: captions
per second of one process on one core, on the captions of `data` (a file with one caption a line, or
a folder with captions.csv; without it the labelled ones), all contestants on the same cuts in turn.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from threadpoolctl import threadpool_limits

from bench.given import columns_of
from parsing import wordnet
from parsing.registry import make_parser
from parsing.scoring import Items, items_of_graph, items_of_label, score_parses
from pipeline.config import Config
from pipeline.errors import SourceError

LABELLED = Path(__file__).parents[1] / "tests" / "parsing" / "labelled.jsonl"
CUT, CUTS, WARM_UP = 1000, 8, 4000
Sentences = list[str]


def run(data: Path | None, seeds: tuple[int, ...], out: Path) -> dict[str, Any]:
    """Tables of quality and of speed; SceneGraphParser only where it is installed."""
    if not LABELLED.exists():
        raise SourceError(f"{LABELLED}: the labelled captions are missing; run it in a checkout")
    labelled = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    spoken = captions_of(data) if data else [label["caption"] for label in labelled]
    published, notes = _published_parser()
    config = Config().parse
    ours = make_parser(config.parser, model=config.model)
    ours.setup()
    tables = {}
    for half in ("tune", "report"):
        part = [label for label in labelled if label["half"] == half]
        texts, wanted = [p["caption"] for p in part], [items_of_label(p) for p in part]
        of_ours = [items_of_graph(graph.to_dict()) for graph in ours.parse(texts)]
        rows = _scores("tagwright", of_ours, wanted)
        if published:
            found = [items_of_published(published.parse(text)) for text in texts]
            rows += _scores("SceneGraphParser", found, wanted)
        tables[f"{half} half, {len(part)} captions"] = rows
    # A parser of its own, since the one above remembers the labelled captions.
    fresh = make_parser(config.parser, model=config.model)
    tables["one process, one core"] = _speeds(fresh, published, config.model, spoken)
    return {"tables": tables, "notes": notes}


def _scores(name: str, found: list[Items], wanted: list[Items]) -> list[dict[str, Any]]:
    pairs = zip(found, wanted, strict=True)
    return [{"parser": name} | row for row in score_parses(pairs)]


def items_of_published(graph: dict[str, Any]) -> Items:
    """The same items of a SceneGraphParser graph, read in its favour.

    Determiners and numbers are left out of its modifiers; a relation whose first word is a verb
    counts as an action, too.
    """
    names = [entity["lemma_head"].lower() for entity in graph["entities"]]
    attributes = {
        (modifier["lemma_span"].lower(), name)
        for entity, name in zip(graph["entities"], names, strict=True)
        for modifier in entity["modifiers"]
        if modifier["dep"] not in ("det", "nummod")
    }
    relations = [
        (names[r["subject"]], r["lemma_relation"].lower(), names[r["object"]])
        for r in graph["relations"]
    ]
    actions = [
        (words.split()[0], subject, thing)
        for subject, words, thing in relations
        if wordnet.has(words.split()[0], "v") and not wordnet.has(words.split()[0], "r")
    ]
    return {
        "objects": frozenset(names),
        "attributes": frozenset(attributes),
        "actions": frozenset(name for name, _, _ in actions),
        "relations": frozenset(relations),
        "actions with ends": frozenset(actions),
    }


def _published_parser() -> tuple[Any, list[str]]:
    try:
        import sng_parser
    except ImportError:
        return None, [
            "SceneGraphParser is not installed: pip install -c constraints.txt '.[bench]'"
        ]
    return sng_parser.Parser("spacy", model=Config().parse.model), []


def captions_of(data: Path) -> Sentences:
    """Captions of a file with one a line, of a CSV file, or of a folder with captions.csv."""
    path = data / "captions.csv" if data.is_dir() else data
    if not path.exists():
        raise SourceError(f"{path}: no such file; give captions, one a line, or a captions.csv")
    if path.suffix == ".csv":
        return [caption for (caption,) in columns_of(path, "caption")]
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return [line.rstrip("\r\n") for line in file]


def _speeds(ours: Any, published: Any, model: str, texts: Sentences) -> list[dict[str, Any]]:
    """Captions per second, the median of the cuts; costs are of the same cut."""
    import spacy

    nlp = spacy.load(model, exclude=["ner", "lemmatizer", "attribute_ruler"])
    whole = spacy.load(model, exclude=["ner"])
    contestants: dict[str, Callable[[Sentences], object]] = {
        "spaCy, our components": lambda part: list(nlp.pipe(part, batch_size=256)),
        "spaCy, all but ner": lambda part: list(whole.pipe(part, batch_size=256)),
        "tagwright, with JSON": lambda part: [
            json.dumps(graph.to_dict(), ensure_ascii=False) for graph in ours.parse(part)
        ],
    }
    if published:
        contestants["SceneGraphParser"] = lambda part: [published.parse(text) for text in part]
    unique = list(dict.fromkeys(texts))
    half = min(WARM_UP, len(unique) // 2)  # what warmed up would be remembered, not parsed
    warm, timed = unique[:half], unique[half:]
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    with threadpool_limits(1):
        for name, contestant in contestants.items():
            contestant(warm if name.startswith("tagwright") else warm[:200])
        for start in range(0, min(len(timed), CUT * CUTS), CUT):
            part = timed[start : start + CUT]
            for name, contestant in contestants.items():
                some = part if name != "SceneGraphParser" else part[: len(part) // 4 + 1]
                began = time.perf_counter()
                contestant(some)
                seconds[name].append((time.perf_counter() - began) / len(some))
    own, floor = seconds["tagwright, with JSON"], seconds["spaCy, our components"]
    cost = median(a / b - 1 for a, b in zip(own, floor, strict=True))
    return [
        {
            "contestant": name, "captions per second": 1 / median(taken),
            "tagwright is faster by": median(b / a for a, b in zip(own, taken, strict=True)),
            "cost over our components": cost if taken is own else None,
        }
        for name, taken in seconds.items()
    ]  # fmt: skip
