"""Names that get a tag even where a corpus does not speak of them: class names of datasets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from parsing import lexicon, wordnet
from parsing.errors import ParsingError
from parsing.graph import Kind
from parsing.keys import PART, Key
from parsing.labels import entry

FOLDER = "starter/vocabularies"
ALL = "all"
_VERBS = "hico-verbs"


@dataclass(frozen=True, slots=True)
class Seed:
    """A name in the form that captions are counted in, and where it comes from.

    `forms` are other spellings of the class name, such as its plural.
    """

    surface: str
    kind: Kind
    sources: tuple[str, ...]
    forms: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """Surface form and part of speech."""
        return self.surface, PART[self.kind]

    @property
    def reason(self) -> str:
        """Why it has a tag, in words."""
        return f"seed: {', '.join(self.sources)}"


def vocabularies() -> list[str]:
    """Names of the packaged vocabularies."""
    return sorted(path.stem for path in (lexicon.DATA / FOLDER).glob("*.txt"))


def read_seeds(names: Sequence[str]) -> tuple[Seed, ...]:
    """Each name once, of packaged vocabularies, of `all` of them, or of text files.

    A file has one name a line: `dog`, or `run,action` where the kind is not the most likely one.

    Raises:
        ParsingError: no such vocabulary or file, an unreadable file, an unknown kind.
    """
    known = vocabularies()
    wanted = dict.fromkeys(n for name in names for n in (known if name == ALL else [name]))
    found: dict[Key, Seed] = {}
    for name in wanted:
        for seed in _packaged(name) if name in known else _of_file(name):
            other = found.get(seed.key, seed)
            found[seed.key] = replace(
                other,
                sources=tuple(sorted({*other.sources, *seed.sources})),
                forms=tuple(sorted({*other.forms, *seed.forms})),
            )
    return tuple(found[key] for key in sorted(found))


def digest_source(seeds: Sequence[Seed]) -> str:
    """All seeds as one text: the same names in another file are the same input."""
    return json.dumps(sorted([s.surface, s.kind, *s.forms] for s in seeds))


def class_forms(name: str) -> list[str]:
    """Readable forms of a class name: "Cabinet/shelf" is two, "bow_(ribbon)" one."""
    plain = re.sub(r"\(.*?\)", " ", name.lower().replace("_", " "))
    forms = [" ".join(part.split()) for part in plain.split("/")]
    return [form.removeprefix("other ") for form in forms if form]


def lemma_of(form: str, part: str) -> str:
    """The tag form of a class: singular, unless only the plural is a word."""
    if part != "noun":
        return form
    base = wordnet.lemma(form, "n", inflected=form.endswith("s"))
    return base if wordnet.has(base.split(" ")[-1], "n") else form


def _packaged(name: str) -> Iterator[Seed]:
    for line in lexicon.lines(f"{FOLDER}/{name}"):
        yield from _seeds(line, "action" if name == _VERBS else None, name)


def _of_file(name: str) -> Iterator[Seed]:
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        choices = ", ".join([ALL, *vocabularies()])
        raise ParsingError(
            f"No vocabulary and no file is called {name!r}. Choose from: {choices}; "
            "or name a text file with one name a line."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParsingError(f"{path}: cannot be read as UTF-8: {error}.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            surface, kind = entry(line.strip())
        except ParsingError as error:
            raise ParsingError(f"{path}, line {number}: {error}") from None
        yield from _seeds(surface, kind, path.name)


def _seeds(name: str, kind: Kind | None, source: str) -> Iterator[Seed]:
    for form in class_forms(name):
        part = PART[kind] if kind else "noun"
        surface = lemma_of(form, part)
        forms = (form,) if form != surface else ()
        yield Seed(surface, kind or wordnet.noun_kind(surface), (source,), forms)
