"""Builds the starter label system, `parsing/data/starter/starter.csv`, from its sources.

    pip install --constraint constraints.txt --editable .[starter]
    python -m bench.build_starter

Sources: class names of public datasets (`vocabularies/`), mention counts of 56,000 captions as a
frequency signal (`mentions.tsv`), WordNet, word frequencies of `wordfreq`, and text embeddings as a
second opinion on synonyms. What was found by reading the result is in `corrections.tsv` and is
applied here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from math import log

from model.text import TextEncoder
from parsing import lexicon, wordnet
from parsing.graph import Kind
from parsing.keys import PART, Key, Part
from parsing.label_files import to_csv
from parsing.labels import Label, LabelSystem, Merge, MergeState, Surface
from parsing.merging import evidence, groups, spelling
from parsing.picturable import picturable
from parsing.read import KINDS, corrections
from parsing.seeds import class_forms, lemma_of

STARTER = lexicon.DATA / "starter"
IDS = 4585
ALIKE = 0.56
"""Cosine of two names' embeddings below which WordNet's word on synonyms is not taken."""
ALWAYS = ("coco", "voc", "objects365", "lvis", "openimages", "ade20k", "cifar100", "hico-verbs")
"""Vocabularies that are taken whole; ImageNet's breeds only as far as people speak of them."""
LEAST_MENTIONS = 3
LEAST_ZIPF = {"imagenet": 2.0, "wordnet": 2.6, "synonym": 1.6}  # log10 of uses in 10^9 words
LEAST_GERUND = 3.0
SEEN = {
    "noun.animal", "noun.artifact", "noun.body", "noun.food", "noun.object", "noun.person",
    "noun.phenomenon", "noun.plant",
}  # fmt: skip
_POS = {"noun": "n", "verb": "v", "adjective": "a"}


@dataclass
class Candidate:
    """What speaks for a surface form."""

    kind: Kind
    mentions: int = 0
    sources: set[str] = field(default_factory=set)


@dataclass
class Corrections:
    """What reading found: see the head of corrections.tsv."""

    drop: set[Key] = field(default_factory=set)
    kind: dict[Key, Kind] = field(default_factory=dict)
    merge: list[tuple[Key, Key, str]] = field(default_factory=list)
    apart: set[frozenset[Key]] = field(default_factory=set)
    no_synonym: set[Key] = field(default_factory=set)
    keep: set[Key] = field(default_factory=set)


def zipf(surface: str) -> float:
    """Frequency in English text, 0 (never) to 8."""
    from wordfreq import zipf_frequency

    return float(zipf_frequency(surface, "en"))


class Embeddings:
    """Text embeddings of many names at once: one by one takes minutes."""

    def __init__(self, names: Iterable[str]) -> None:
        known = sorted(set(names))
        self._row = {name: row for row, name in enumerate(known)}
        self._vectors = TextEncoder().label_queries(known)

    def alike(self, a: str, b: str) -> float:
        """Cosine of two names in RAM's prompts; 0 for names not asked for."""
        if a not in self._row or b not in self._row:
            return 0.0
        return float(self._vectors[self._row[a]] @ self._vectors[self._row[b]])


BRITISH = (("olor", "olour"), ("gray", "grey"), ("rmor", "rmour"), ("enter", "entre"),
           ("theater", "theatre"), ("fiber", "fibre"), ("jewelry", "jewellery"), ("tire", "tyre"),
           ("donut", "doughnut"), ("harbor", "harbour"), ("mustache", "moustache"))  # fmt: skip


def variants(name: str, part: str) -> Iterator[tuple[str, str]]:
    """Other spellings that are in use: plural, gerund, British, written as one word."""
    if part == "verb":
        yield from gerunds(name)
    if part != "noun":
        return
    plural = plural_of(name)
    said = " " not in name and wordnet.lemma(plural, "n", inflected=True) == name
    if said and zipf(plural) >= max(3.3, zipf(name) - 0.1):
        yield plural, "plural, said as often"
    for american, british in BRITISH:
        if american in name and zipf(other := name.replace(american, british)) >= 1.5:
            yield other, "British spelling"
        if british in name and zipf(other := name.replace(british, american)) >= 1.5:
            yield other, "American spelling"
    if " " not in name:
        yield from opened(name)
    closed = name.replace(" ", "")
    if " " in name and zipf(closed) >= 1.2:
        yield closed, "written as one word"
    if " " in name and wordnet.has(name.replace(" ", "-"), "n"):
        yield name.replace(" ", "-"), "written with a hyphen"


def gerunds(name: str) -> Iterator[tuple[str, str]]:
    """ "surfing" for "surf", as lists of actions write it; captions are counted in base form."""
    for stem in (name, name.removesuffix("e"), name + name[-1]):
        form = stem + "ing"
        other = stem == name and wordnet.has(name + "e", "v")  # "taping" is of "tape", not of "tap"
        of_it = wordnet.lemma(form, "v", inflected=True) == name and not other
        if " " not in name and of_it and zipf(form) >= LEAST_GERUND:
            yield form, "gerund"


def opened(name: str) -> Iterator[tuple[str, str]]:
    """ "taillight" is a light, so it is a "tail light", too; a carpet is no pet."""
    over = {sense for found in wordnet.senses(name, "n")[:1] for sense in wordnet.above(found)}
    for size in range(3, len(name) - 2):
        first, second = name[:size], name[size:]
        base = wordnet.lemma(second, "n", inflected=True)
        kinds = {sense.name for sense in wordnet.senses(base, "n")}
        if min(zipf(first), zipf(second)) >= 3.3 and wordnet.has(first, "n") and over & kinds:
            yield f"{first} {second}", "written as two words"


def plural_of(name: str) -> str:
    """The regular plural."""
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return name + "es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


def read_corrections() -> Corrections:
    """One line each: action, kind, surface, other."""
    found = Corrections()
    for action, kind, surface, other in corrections():
        key = (surface, PART[kind])
        if action == "drop":
            found.drop.add(key)
        elif action == "keep":
            found.keep.add(key)
        elif action == "kind":
            found.kind[key] = KINDS[other]
        elif action == "merge":
            found.merge.append(((other, key[1]), key, "read: the same"))
        elif action == "apart":
            found.apart.add(frozenset({key, (other, key[1])}))
        elif action == "alone":
            found.no_synonym.add(key)
        else:
            raise ValueError(f"corrections.tsv: unknown action {action!r} of {surface!r}")
    return found


class Starter:
    """Candidates, groups, tags and surfaces, in this order."""

    def __init__(self) -> None:
        self.read = read_corrections()
        self.candidates: dict[Key, Candidate] = {}
        self.same: list[tuple[Key, Key, str]] = []  # (surface, into, why)
        self._vocabularies()
        self._mentions()
        self._wordnet()
        for key in sorted(self.read.keep):
            self._add(key, self._kind(key), "read")
        for key in [k for k in self.candidates if k in self.read.drop or self._unread(k)]:
            del self.candidates[key]
        for surface, into, why in self.read.merge:
            for key in (surface, into):
                if key not in self.read.drop:
                    self._add(key, self._kind(key), "read")
            self.same.append((surface, into, why))
        self.embeddings = Embeddings(
            name
            for surface, part in self.candidates if part == "noun"
            for form in wordnet.synonyms(surface, "n")
            if (found := evidence((form, part), (surface, part), reading=False)) and found.strong
            for name in (surface, form)
        )  # fmt: skip

    def _unread(self, key: Key) -> bool:
        """WordNet cannot tell what verbs and adjectives look like: only those read and kept."""
        datasets = self.candidates[key].sources - {"captions"}
        return key[1] != "noun" and not datasets

    def _kind(self, key: Key) -> Kind:
        if key in self.read.kind:
            return self.read.kind[key]
        if key[1] == "noun":
            return wordnet.noun_kind(key[0])
        return "action" if key[1] == "verb" else "attribute"

    def _add(self, key: Key, kind: Kind, source: str, mentions: int = 0) -> None:
        found = self.candidates.setdefault(key, Candidate(self.read.kind.get(key, kind)))
        found.sources.add(source)
        found.mentions += mentions

    def _vocabularies(self) -> None:
        for path in sorted((STARTER / "vocabularies").glob("*.txt")):
            part: Part = "verb" if path.stem == "hico-verbs" else "noun"
            for name in lexicon.lines(f"starter/vocabularies/{path.stem}"):
                forms = class_forms(name)
                for form in forms:
                    key: Key = (lemma_of(form, part), part)
                    if path.stem == "imagenet" and zipf(key[0]) < LEAST_ZIPF["imagenet"]:
                        continue
                    self._add(key, self._kind(key), path.stem)
                    if form != key[0]:
                        self._add((form, key[1]), self._kind(key), path.stem)
                        self.same.append(((form, key[1]), key, f"class name of {path.stem}"))

    def _mentions(self) -> None:
        for line in lexicon.lines("starter/mentions", suffix=".tsv"):
            surface, word, number = line.split("\t")
            kind = KINDS[word]
            key = (surface, PART[kind])
            known = key in self.candidates
            if known or (int(number) >= LEAST_MENTIONS and not picturable(surface, kind)):
                self._add(key, kind, "captions", int(number))

    def _wordnet(self) -> None:
        for name in wordnet.all_nouns():
            surface = name.replace("_", " ")
            if not re.fullmatch("[a-z]{3,}", surface):
                continue
            if (
                zipf(surface) < LEAST_ZIPF["wordnet"]
                or wordnet.supersense(surface, "n") not in SEEN
            ):
                continue
            # "does" is a doe to WordNet, a verb to everybody else
            others = sum(wordnet.count(surface, pos) for pos in "var")
            if not wordnet.shares(surface, "n") or wordnet.shares(surface, "n")[0] < 0.5:
                continue
            if wordnet.count(surface, "n") < others or picturable(surface, "object"):
                continue
            if surface in lexicon.noise("n") or surface in lexicon.quantities():
                continue
            self._add((surface, "noun"), self._kind((surface, "noun")), "wordnet")

    # ---- groups --------------------------------------------------------------------------------

    def grouped(self) -> list[list[Key]]:
        """Groups of one meaning, the most important first, cut at the wanted number."""
        parent = {key: key for key in sorted(self.candidates)}
        members = {key: {key} for key in parent}

        def root(key: Key) -> Key:
            while parent[key] != key:
                key = parent[key]
            return key

        def join(a: Key, b: Key) -> None:
            if a not in parent or b not in parent or root(a) == root(b):
                return
            ours, theirs = members[root(a)], members[root(b)]
            if not any(self._kept_apart(x, y) for x in ours for y in theirs):
                theirs |= ours
                parent[root(a)] = root(b)

        for group in groups((key for key in parent if key[1] == "noun"), reading=False):
            for a, b in combinations(group, 2):
                same = spelling(a[0]) == spelling(b[0])
                if same or self.embeddings.alike(a[0], b[0]) >= ALIKE:
                    join(b, a)
        for surface, into, _ in self.same:
            join(surface, into)
        joined: dict[Key, list[Key]] = defaultdict(list)
        for key in parent:
            joined[root(key)].append(key)
        ranked = sorted(joined.values(), key=lambda g: (-self._weight(g), min(g)))
        for group in ranked:
            group.sort(key=lambda key: (self._is_alias(key), -self._weight([key]), key))
        return ranked[:IDS]

    def _kept_apart(self, a: Key, b: Key) -> bool:
        return frozenset({a, b}) in self.read.apart

    def _is_alias(self, key: Key) -> bool:
        return any(surface == key for surface, *_ in self.same)

    def _weight(self, group: Iterable[Key]) -> float:
        """Datasets first, then captions and text alike."""
        keys = list(group)
        sources = set().union(*(self.candidates[key].sources for key in keys))
        mentions = sum(self.candidates[key].mentions for key in keys)
        known = 100.0 * bool(sources & {*ALWAYS, "read"}) + 1.5 * ("imagenet" in sources)
        if not any(wordnet.has(key[0], _POS[key[1]]) for key in keys):
            known -= 2.5  # "plastic slide" is said, but no word of its own
        return known + 1.5 * log(1 + mentions) + max(zipf(key[0]) for key in keys)

    # ---- surfaces ------------------------------------------------------------------------------

    def further(self, group: list[Key], taken: set[Key]) -> Iterator[tuple[Key, str]]:
        """Further forms in use and nobody else's: synonyms of the name, spellings of each form."""
        yield from self._synonyms(group[0], taken)
        for member in group:
            for form, text in variants(*member):
                key: Key = (form, member[1])
                if key in taken or key in self.read.drop:
                    continue
                # "fishing" is a thing of its own, and one word should find one tag
                if text != "gerund" or not {(form, "noun"), (form, "adjective")} & taken:
                    yield key, text

    def _synonyms(self, name: Key, taken: set[Key]) -> Iterator[tuple[Key, str]]:
        """Those of WordNet for the dominant sense; those of verbs and adjectives are too loose."""
        if name[1] != "noun" or name in self.read.no_synonym:
            return
        for form in wordnet.synonyms(name[0], "n"):
            key: Key = (form, "noun")
            if key in taken or key in self.read.drop or self._kept_apart(key, name):
                continue
            found = evidence(key, name, reading=False)
            if found is None or not found.strong or zipf(form) < LEAST_ZIPF["synonym"]:
                continue
            if (cosine := self.embeddings.alike(form, name[0])) >= ALIKE:
                yield key, f"{found.text}; embeddings {cosine:.2f}"

    def system(self) -> LabelSystem:
        """Number the groups and explain every merge."""
        chosen = self.grouped()
        taken = {key for group in chosen for key in group}
        why = {surface: (into, text) for surface, into, text in self.same}
        labels, surfaces, merges = [], [], []
        for tag_id, group in enumerate(chosen):
            name = group[0]
            kind = self.candidates[name].kind
            extra = dict(self.further(group, taken))
            taken.update(extra)
            total = sum(self.candidates[key].mentions for key in group)
            labels.append(Label(tag_id, name[0], kind, total))
            for key in [*group, *extra]:
                of = self.candidates.get(key)
                surfaces.append(
                    Surface(key[0], kind, tag_id, "kept", None, of.mentions if of else 0)
                )
                if key == name:
                    continue
                found = evidence(key, name, reading=False)
                text = extra.get(key) or (why[key][1] if key in why else "")
                text = text or (found.text if found else "through its group")
                read = text.startswith(("read", "class"))
                state: MergeState = "confirmed" if read else "auto"
                score = found.score if found else 1.0
                merges.append(Merge(tag_id, key[0], name[0], text, round(score, 4), state))
        surfaces.sort(key=lambda s: (s.tag_id or 0, s.surface != labels[s.tag_id or 0].name))
        return LabelSystem(tuple(labels), tuple(surfaces), tuple(merges))


if __name__ == "__main__":
    built = Starter().system()
    (STARTER / "starter.csv").write_text(to_csv(built), encoding="utf-8")
    print(f"{len(built.labels)} tags, {len(built.surfaces)} surface forms")
