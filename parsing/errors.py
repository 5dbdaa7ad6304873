"""The errors of `parsing`.

ParsingError          base: an unknown parser, a model that is not installed, a vocabulary that
                      cannot be read; the message says what, the value, and what to do
"""

from __future__ import annotations


class ParsingError(Exception):
    """Base of everything `parsing` raises on purpose."""
