"""An endless stream of captions as JSON lines, by one process or several, in constant memory."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from itertools import chain, islice
from multiprocessing import get_context

from parsing.registry import Parser, make_parser

FEW = 4
"""Batches for which a second process does not pay: each loads the language model anew."""


def json_lines(
    batches: Iterable[Sequence[str]], parser: str, model: str, workers: int
) -> Iterator[list[str]]:
    """One line of JSON per caption, batch by batch, in order, whatever the number of workers."""
    coming = iter(batches)
    first = list(islice(coming, FEW)) if workers > 1 else []
    if len(first) < FEW:
        for batch in chain(first, coming):
            yield _lines(parser, model, batch)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        ahead: deque[Future[list[str]]] = deque()
        for batch in chain(first, coming):
            ahead.append(pool.submit(_lines, parser, model, batch))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _lines(parser: str, model: str, batch: Sequence[str]) -> list[str]:
    graphs = _parser(parser, model).parse(batch)
    return [json.dumps(graph.to_dict(), ensure_ascii=False) for graph in graphs]


@lru_cache(maxsize=1)
def _parser(name: str, model: str) -> Parser:
    """Loaded once per process."""
    made = make_parser(name, model=model)
    made.setup()
    return made
