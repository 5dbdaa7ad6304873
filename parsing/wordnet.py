"""WordNet questions with cached answers: lemmas, kinds, picturability, evidence of synonymy."""

from __future__ import annotations

import gc
import io
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from parsing.graph import Kind, NounKind
from parsing.lexicon import DATA, lemma_exceptions, lines
from parsing.senses import Sense, Senses

POS: dict[Kind, str] = {"object": "n", "scene": "n", "action": "v", "attribute": "a"}
_DOUBLED = re.compile(r"(\w*([bdgklmnprtvz]))\2(?:ed|ing)")
_DOUBLES = re.compile(r"(?:[^aeiou]*|.*qu)[aeiou][bdgklmnprtvz]")
_LIVING = {"person.n.01", "animal.n.01"}
_TRAVEL = {"jump.v.01", "travel.v.01"}
_WORN = {"clothing.n.01", "footwear.n.02", "headdress.n.01", "eyeglasses.n.01", "jewelry.n.01"}
_DOMINANT = 0.6  # the share that makes a sense the dominant one: "kid" is a child, not a goat

remembered = lru_cache(maxsize=2**17)
"""Answers about words: bounded, because the words of the web have no end."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why two surfaces may mean the same; only `strong` evidence merges without a person."""

    text: str
    score: float
    strong: bool


@contextmanager
def no_collector() -> Iterator[None]:
    """Nothing here forms rings, yet the collector would visit all of WordNet again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@cache
def reader() -> Any:
    """NLTK's reader over the packed files; the first call takes half a second."""
    from nltk.corpus.reader.wordnet import WordNetCorpusReader
    from nltk.data import ZipFilePathPointer

    archive = DATA / "wordnet" / "corpora" / "wordnet.zip"

    class Reader(WordNetCorpusReader):  # type: ignore[misc]  # NLTK has no types
        def open(self, file: str) -> io.TextIOWrapper:
            """Unpack a file at once: NLTK's own stream over the archive takes seconds.

            NLTK would also refuse archives that a group may write, as a umask of 002 makes them.
            The archive is opened each time: processes forked after this one has read some would
            share one place in it, and read at once what is somewhere else.
            """
            with zipfile.ZipFile(archive) as packed:
                content = packed.read(f"wordnet/{file}")
            return io.TextIOWrapper(io.BytesIO(content), self._ENCODING)

        def map_wn(self, version: str = "wordnet") -> None:
            """No map to other versions: it serves other languages and looks for files elsewhere."""

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "multilingual functions are not available": not used
        with no_collector(), zipfile.ZipFile(archive) as packed:
            return Reader(ZipFilePathPointer(packed, "wordnet/"), None)


@cache
def _senses() -> Senses:
    return Senses(reader())


@remembered
def has(word: str, pos: str) -> bool:
    """Whether WordNet lists exactly this form: "hot dog", not "hot dogs"."""
    return bool(_offsets(word, pos))


def _offsets(word: str, pos: str) -> list[int]:
    """Where the senses are; an adjective's satellites ("s") after the others."""
    by_pos = reader()._lemma_pos_offset_map.get(word.replace(" ", "_").lower(), {})
    found: list[int] = by_pos.get(pos, [])
    return [*found, *by_pos.get("s", ())] if pos == "a" else found


@remembered
def senses(word: str, pos: str) -> tuple[Sense, ...]:
    """Synsets that list exactly this form, the most frequent first."""
    at = _senses().at
    return tuple(at(pos, offset) for offset in dict.fromkeys(_offsets(word, pos)))


def sense(pos: str, offset: int) -> Sense:
    """The sense that a pointer of another leads to."""
    return _senses().at(pos, offset)


@remembered
def sense_counts(word: str, pos: str) -> tuple[int, ...]:
    """How often each sense was used in WordNet's tagged texts, in the order of `senses`."""
    ranks = range(1, len(set(_offsets(word, pos))) + 1)
    found = _counts().get((word.replace(" ", "_").lower(), pos))
    return tuple(found.get(rank, 0) for rank in ranks) if found else (0,) * len(ranks)


@cache
def _counts() -> dict[tuple[str, str], dict[int, int]]:
    """(word, part of speech) -> sense number -> uses; read whole, since NLTK searches the file."""
    counts: dict[tuple[str, str], dict[int, int]] = {}
    with reader().open("cntlist.rev") as file:
        for line in file:
            if line.strip():
                key, rank, uses = line.split()
                word, _, sense = key.partition("%")
                counts.setdefault((word, "nvara"[int(sense[0]) - 1]), {})[int(rank)] = int(uses)
    return counts


def count(word: str, pos: str) -> int:
    """How often this form was used as this part of speech."""
    return sum(sense_counts(word, pos))


@remembered
def shares(word: str, pos: str) -> tuple[float, ...]:
    """The share of each sense; unseen senses count half, earlier ones a little more."""
    weights = [n + 0.5 / (rank + 1) for rank, n in enumerate(sense_counts(word, pos))]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def lemma(
    form: str, pos: str, tie: Callable[[], str] | None = None, inflected: bool = False
) -> str:
    """Base form by exception list, then WordNet's morphology; `tie` (the model's) breaks ties.

    An inflected form ("saw" tagged as past tense) prefers another base than itself. The model is
    asked only where WordNet knows no base form or several that are equally good.
    """
    known = _only_base(form, pos, inflected)
    if known is not None:
        return known
    said, best = tie() if tie else "", _bases(form.lower(), pos, inflected)
    return said if said and (said in best or not best) else (*best, form.lower())[0]


@remembered
def _only_base(form: str, pos: str, inflected: bool) -> str | None:
    best = _bases(form.lower(), pos, inflected)
    return best[0] if len(best) == 1 else None


@remembered
def _bases(form: str, pos: str, inflected: bool) -> tuple[str, ...]:
    """The most frequent base forms, several where they are equally frequent."""
    if known := lemma_exceptions().get((form, pos)):
        return (known,)
    candidates = _morphy(form, pos)
    if not candidates and pos == "n" and (words := form.replace("_", " ").split())[1:]:
        return (" ".join([*words[:-1], lemma(words[-1], pos, inflected=inflected)]),)
    if not candidates:
        return _by_its_last_part(form, pos)
    if len(candidates) == 1:
        return candidates
    others = [c for c in candidates if c != form] if inflected else candidates
    if inflected and others and form in candidates and pos == "n":
        # "stairs" and "woods" are words of their own, "hands" and "men" hardly ever.
        most = max(count(other, pos) for other in others)
        others = [form] if count(form, pos) > most else others
    if inflected and pos == "v":
        others = [c for c in others if not _would_double(c, form, others)] or others
    ranked = sorted(others or candidates, key=lambda c: (-count(c, pos), c))
    return tuple(c for c in ranked if count(c, pos) == count(ranked[0], pos))


@remembered
def _morphy(form: str, pos: str) -> tuple[str, ...]:
    found = reader()._morphy(form, pos)
    # its exceptions know "comics" as comic_strip
    return tuple(base for base in found if "_" not in base or "_" in form)


def _would_double(base: str, form: str, others: Sequence[str]) -> bool:
    """ "sloping" is of "slope": that of "slop" is "slopping"."""
    doubles = bool(_DOUBLES.fullmatch(base))
    forms = (f"{base}ing", f"{base}ed", f"{base}es")
    return doubles and form in forms and f"{base}e" in others


def _by_its_last_part(form: str, pos: str) -> tuple[str, ...]:
    """A word WordNet lacks: "wakeboarding" is wake + boarding."""
    doubled = _DOUBLED.fullmatch(form)
    if pos == "v" and doubled and has(doubled[1], "v"):
        return (doubled[1],)  # "gutted"
    if pos == "n" and form.endswith("ers") and len(form) > 5:
        return (form[:-1],)  # "bikers"
    first, hyphen, last = form.rpartition("-")
    if hyphen and first and last:
        return (f"{first}-{lemma(last, pos)}",)
    for size in range(3, len(form) - 4):
        if pos == "v" and _morphy(form[size:], pos):
            return (form[:size] + lemma(form[size:], pos, inflected=True),)
    return ()


@remembered
def is_name(surface: str) -> bool:
    """Whether WordNet knows this noun only as an individual: "paris", "new york"."""
    found = senses(surface, "n")
    return bool(found) and all(synset.instance_of for synset in found)


@remembered
def supersense(surface: str, pos: str) -> str:
    """The lexicographer file of the dominant sense, "" for unknown words."""
    found = senses(surface, pos) or senses(surface.split(" ")[-1], pos)
    return str(found[0].lexname) if found else ""


@remembered
def is_colour(word: str) -> bool:
    """Whether the dominant noun sense is a colour and an adjective of that form exists."""
    if not has(word, "a"):
        return False
    # "orange" is a fruit first: any sense will do, because the adjective is only a colour.
    colours = {"chromatic_color.n.01", "achromatic_color.n.01"}
    things = [synset for synset in senses(word, "n") if not synset.instance_of]
    return any(colours & above(synset) for synset in things[:4])


@remembered
def is_worn(name: str) -> bool:
    """Clothes, shoes and hats: "in" goes with them as "with" does."""
    found = senses(name, "n") or senses(name.split(" ")[-1], "n")
    return any(above(synset) & _WORN for synset in found[:2])


@remembered
def is_social(name: str) -> bool:
    """Groups of people that do something together: a crew, a team."""
    return any("social_group.n.01" in above(s) or "crew" in s.name for s in senses(name, "n")[:1])


@remembered
def is_travel(verb: str) -> bool:
    """Ways of getting somewhere, by the likely senses: climb, ride, jog; not lift or push."""
    return any(above(synset) & _TRAVEL for synset in senses(verb, "v")[:2])


@remembered
def needs_object(verb: str, likely: int) -> bool:
    """Whether none of so many senses does without an object: "harness", "embroider"."""
    found = senses(verb, "v")[:likely]
    return bool(found) and not any(verb.replace(" ", "_") in sense.alone for sense in found)


@remembered
def is_unit(word: str) -> bool:
    """Miles, inches and gallons, by the dominant sense."""
    return any("unit_of_measurement.n.01" in above(synset) for synset in senses(word, "n")[:1])


@remembered
def is_number(word: str) -> bool:
    """Two and twenty, by the dominant sense; single letters are Roman ones too rarely."""
    return len(word) > 1 and any("integer.n.01" in above(sense) for sense in senses(word, "n")[:1])


@remembered
def is_living(name: str) -> bool:
    """People and animals, by the dominant sense."""
    found = senses(name, "n") or senses(name.split(" ")[-1], "n")
    # not by supersense: "person" and "animal" themselves are noun.Tops
    return bool(found) and bool(above(found[0]) & _LIVING)


@cache
def above(sense: Sense) -> frozenset[str]:
    """Names of a sense and all its hypernyms."""
    return _senses().above(sense)


@cache
def _scene_roots() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Synsets that are places, those below them that are not, and words that are places."""
    entries = lines("scenes")
    never, words = (
        frozenset(e[1:].strip() for e in entries if e.startswith(sign)) for sign in "-="
    )
    return frozenset(e for e in entries if e[0] not in "-="), never, words


@remembered
def noun_kind(surface: str) -> NounKind:
    """ "scene" for places and surroundings, by hypernyms of the likely senses."""
    known = surface if has(surface, "n") else surface.split(" ")[-1]
    roots, never, words = _scene_roots()
    if known in words:
        return "scene"
    weighed = [
        (synset, share)
        for synset, share in zip(senses(known, "n"), shares(known, "n"), strict=True)
        if not synset.instance_of  # a bikini is no atoll
    ]
    places = [
        share for synset, share in weighed if above(synset) & roots and not above(synset) & never
    ]
    return "scene" if sum(places) > 0.5 * sum(share for _, share in weighed) else "object"


def synonym_evidence(a: str, b: str, kind: Kind) -> Evidence | None:
    """What WordNet says about two surfaces of one kind; None where it says nothing."""
    pos = POS[kind]
    of_a, of_b = senses(a, pos), senses(b, pos)
    shared = [s for s in of_a if s in of_b]
    if not shared:
        return None
    best = max(shared, key=lambda s: min(_share(a, s, pos), _share(b, s, pos)))
    score = round(min(_share(a, best, pos), _share(b, best, pos)), 4)
    if of_a[0] == of_b[0] and _dominated(a, pos) and _dominated(b, pos):
        return Evidence(f"wordnet: both mainly {of_a[0].name}", score, strong=True)
    return Evidence(f"wordnet: share the sense {best.name}", score, strong=False)


def sisters(a: str, b: str, pos: str) -> str | None:
    """What the dominant senses of both are a kind of, where they are nearest relatives; or None.

    Sisters are of one lexicographer file with a direct hypernym in common: campfire, bonfire.
    """
    of_a, of_b = senses(a, pos), senses(b, pos)
    if not of_a or not of_b or of_a[0].lexname != of_b[0].lexname or of_a[0] == of_b[0]:
        return None
    if not (_dominated(a, pos) and _dominated(b, pos)):
        return None
    over = sorted(_senses().at(*link).name for link in {*of_a[0].hypernyms} & {*of_b[0].hypernyms})
    return over[0] if over else None


def _dominated(word: str, pos: str) -> bool:
    """One sense only, or one seen in text and far ahead: an unseen order is a guess ("bike")."""
    one = len(senses(word, pos)) == 1
    return one or (sense_counts(word, pos)[0] > 0 and shares(word, pos)[0] >= _DOMINANT)


def _share(word: str, synset: Sense, pos: str) -> float:
    return shares(word, pos)[senses(word, pos).index(synset)]


@remembered
def likely_kind(surface: str) -> Kind:
    """The kind of a tag that comes without one: by its most frequent part of speech."""
    if is_colour(surface):
        return "attribute"
    best = max("nva", key=lambda pos: (has(surface, pos), count(surface, pos), pos == "n"))
    if best == "v" and has(surface, "v"):
        return "action"
    return "attribute" if best == "a" and has(surface, "a") else noun_kind(surface)


def all_nouns() -> list[str]:
    """Every noun WordNet lists, in alphabetical order."""
    by_word = reader()._lemma_pos_offset_map
    return sorted(word.replace("_", " ") for word, by_pos in by_word.items() if "n" in by_pos)


def synonyms(word: str, pos: str) -> list[str]:
    """Other words of the dominant sense, in WordNet's order."""
    if not has(word, pos):
        return []
    names = reader().synset_from_pos_and_offset(pos, _offsets(word, pos)[0]).lemma_names()
    forms = [name.lower().replace("_", " ") for name in names]
    return [form for form in forms if form != word]


def head_noun(name: str) -> str | None:
    """What a compound is a kind of by its last word: "metal bench" bench; None for "toy car"."""
    words = name.split(" ")
    if len(words) < 2 or words[0] in ("toy", "fake", "model", "stuffed") or has(name, "n"):
        return None  # a word of its own: a hot dog is no dog
    return words[-1]
