"""The word lists under `data/`, read once: one entry a line, `#` begins a comment line."""

from __future__ import annotations

from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"


@cache
def lines(name: str, suffix: str = ".txt") -> tuple[str, ...]:
    """The entries of a data file, without comments and blank lines."""
    text = (DATA / f"{name}{suffix}").read_text(encoding="utf-8")
    stripped = (line.strip() for line in text.splitlines())
    return tuple(line for line in stripped if line and not line.startswith("#"))


@cache
def noise(pos: str) -> frozenset[str]:
    """Words of one part of speech (n, v, a) that never become a tag."""
    pairs = (line.rsplit(maxsplit=1) for line in lines("noise"))
    return frozenset(word for word, of in pairs if of == pos)


@cache
def quantities() -> frozenset[str]:
    """Nouns that stand for what follows their "of"."""
    return frozenset(line.split()[0] for line in lines("quantities"))


@cache
def stand_alone() -> frozenset[str]:
    """Quantity nouns that are things of their own when no "of" follows."""
    return frozenset(line.split()[0] for line in lines("quantities") if line.endswith(" alone"))


@cache
def compounds() -> frozenset[str]:
    """Names of several words that WordNet does not list."""
    return frozenset(lines("compounds"))


@cache
def prepositions() -> frozenset[str]:
    """Prepositions of several words, without their articles."""
    return frozenset(without_articles(line) for line in lines("prepositions"))


def without_articles(phrase: str) -> str:
    """ "in the middle of" -> "in middle of"."""
    return " ".join(word for word in phrase.split() if word not in ("a", "an", "the"))


@cache
def lemma_exceptions() -> dict[tuple[str, str], str]:
    """(form, part of speech) -> lemma, where WordNet's morphology is wrong for captions."""
    rows = (line.split() for line in lines("lemmas"))
    return {(form, pos): lemma for form, pos, lemma in rows}


@cache
def digest_source() -> str:
    """All word lists as one text, so that a parser's digest changes with its rules' data."""
    names = sorted(path.stem for path in DATA.glob("*.txt"))
    return "\n".join(f"{name}:{'|'.join(lines(name))}" for name in names)
