"""One loaded parser for all tests of `parsing`: loading takes seconds, parsing does not."""

from __future__ import annotations

import pytest

from parsing.registry import Parser, make_parser


@pytest.fixture(scope="session")
def parser() -> Parser:
    """The real parser with its real model."""
    made = make_parser("spacy")
    made.setup()
    return made
