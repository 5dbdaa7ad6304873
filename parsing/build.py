"""Builds a label system: cut by frequency, joined by evidence, numbered by frequency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from parsing.config import LabelConfig
from parsing.graph import Kind
from parsing.keys import PART, Key
from parsing.labels import (
    DROPPED_BY_HAND,
    KEPT_BY_HAND,
    Label,
    LabelSystem,
    Merge,
    Surface,
    SurfaceCount,
)
from parsing.merging import (
    NO_DOUBTS,
    NO_WORDS,
    Doubts,
    Translations,
    evidence,
    groups,
    head_of,
    weak_pairs,
)
from parsing.picturable import picturable
from parsing.seeds import Seed


class Builder:
    """One build; every step is a function of sorted input, so order in never matters."""

    def __init__(
        self, counts: Sequence[SurfaceCount], config: LabelConfig, previous: LabelSystem,
        doubts: Doubts = NO_DOUBTS, words: Translations = NO_WORDS, seeds: Sequence[Seed] = (),
    ) -> None:  # fmt: skip
        self.config, self.doubts, self.words = config, doubts, words
        self.seeds = {seed.key: seed for seed in seeds}
        self.previous = previous
        self.mentions: dict[tuple[str, Kind], int] = defaultdict(int)
        for row in counts:
            self.mentions[row.surface, row.kind] += row.mentions
        self.by_key: dict[Key, int] = defaultdict(int)
        for (surface, kind), number in self.mentions.items():
            self.by_key[surface, PART[kind]] += number
        self.reasons: dict[Key, str] = {}
        self.tags: dict[Key, int] = {
            (s.surface, PART[s.kind]): s.tag_id for s in previous.surfaces if s.tag_id is not None
        }
        self.names: dict[int, Key] = {x.tag_id: (x.name, PART[x.kind]) for x in previous.labels}
        self.kinds: dict[int, Kind] = {x.tag_id: x.kind for x in previous.labels}
        self.why: dict[Key, Merge] = {}

    def system(self) -> LabelSystem:
        """Cut, join, number, explain."""
        self._cut()
        candidates = self._candidates()
        self._number(groups([*candidates, *self.tags], self.doubts, self.words))
        if self._seed_forms():
            self._akin_to_forms([key for key in candidates if key not in self.tags])
        self._rare_compounds()
        surfaces = self._surfaces()
        return LabelSystem(
            self._labels(surfaces), surfaces, self._merges(), self.previous.ever_free,
            self.previous.thresholds,
        )  # fmt: skip

    def _candidates(self) -> list[Key]:
        said = sorted(self.by_key.keys() | self.seeds.keys())
        return [k for k in said if k not in self.tags and k not in self.reasons]

    def _cut(self) -> None:
        """Surfaces that cannot become tags of their own: too far down the list, not picturable."""
        ranked = sorted(self.by_key, key=lambda key: (-self.by_key[key], key))
        for key in ranked[self.config.top :]:
            self.reasons.setdefault(key, f"beyond the {self.config.top} most frequent surfaces")
        for surface, kind in sorted(self.mentions):
            if (reason := picturable(surface, kind)) is not None:
                self.reasons.setdefault((surface, PART[kind]), reason)
        for key in self.reasons.keys() & self.seeds.keys():
            del self.reasons[key]
        for s in self.previous.surfaces:
            if s.reason == DROPPED_BY_HAND:
                self.reasons[s.surface, PART[s.kind]] = DROPPED_BY_HAND

    def _number(self, joined: list[list[Key]]) -> None:
        """Known tags take their new surfaces in; new groups get the next IDs by frequency."""
        fresh: list[list[Key]] = []
        for group in joined:
            known = [key for key in group if key in self.tags]
            if known:
                best = min(known, key=lambda key: (-self.by_key[key], self.tags[key], key))
                for key in group:
                    if key not in self.tags:
                        self._merge(key, self.tags[best], best)
            else:
                fresh.append(sorted(group, key=lambda k: (-self.by_key[k], k not in self.seeds, k)))
        fresh.sort(key=lambda group: (-self._total(group), group[0]))
        chosen, next_id = self._chosen(fresh), self.previous.first_free
        for place, group in enumerate(fresh):
            if place in chosen:
                self._new_tag(next_id, group)
                next_id += 1
            elif not self._seeded(group) and self._total(group) < self.config.min_mentions:
                reason = f"fewer than {self.config.min_mentions} mentions"
                self.reasons.update(dict.fromkeys(group, reason))
            else:
                reason = f"beyond the {self.config.ids} most frequent tags"
                self.reasons.update(dict.fromkeys(group, reason))

    def _chosen(self, ranked: list[list[Key]]) -> set[int]:
        """Places of the groups that become tags: where room is short, seeded ones come first."""
        room = max(0, self.config.ids - len(self.previous.labels))
        seeded = [place for place, group in enumerate(ranked) if self._seeded(group)]
        others = [
            place
            for place, group in enumerate(ranked)
            if not self._seeded(group) and self._total(group) >= self.config.min_mentions
        ]
        return {*[*seeded, *others][:room]}

    def _seeded(self, group: list[Key]) -> bool:
        return any(key in self.seeds for key in group)

    def _total(self, group: list[Key]) -> int:
        return sum(self.by_key[key] for key in group)

    def _new_tag(self, tag_id: int, group: list[Key]) -> None:
        name = group[0]
        self.names[tag_id] = name
        self.kinds[tag_id] = self._kind(name)
        self.tags[name] = tag_id
        for key in group[1:]:
            self._merge(key, tag_id, name)

    def _kind(self, key: Key) -> Kind:
        if key in self.seeds:
            return self.seeds[key].kind
        kinds = [(-n, k) for (s, k), n in self.mentions.items() if (s, PART[k]) == key]
        return min(kinds)[1]

    def _merge(self, key: Key, tag_id: int, into: Key) -> None:
        found = evidence(key, into, self.words)
        text, score = (found.text, found.score) if found else (f"through {into[0]}'s group", 0.5)
        self.tags[key] = tag_id
        self.why[key] = Merge(tag_id, key[0], into[0], text, round(score, 4), "auto")

    def _seed_forms(self) -> bool:
        """Class names as they are written ("scissors", "wine glasses"), where nobody has them.

        True where there were any.
        """
        tags = dict(self.tags)
        for key in sorted(self.seeds.keys() & tags.keys()):
            for form in self.seeds[key].forms:
                other: Key = (form, key[1])
                by_hand = self.reasons.get(other) == DROPPED_BY_HAND
                if other not in self.tags and other not in self.seeds and not by_hand:
                    self.reasons.pop(other, None)
                    self.tags[other] = tags[key]
                    why = f"class name of {', '.join(self.seeds[key].sources)}"
                    self.why[other] = Merge(tags[key], form, key[0], why, 1, "auto")
        return len(self.tags) > len(tags)

    def _akin_to_forms(self, left: list[Key]) -> None:
        """Words too rare for tags of their own join what means the same by a form of a class."""
        for group in groups([*left, *self.tags], self.doubts, self.words):
            if any(key in self.tags for key in group):
                for key in set(group) - self.tags.keys():
                    del self.reasons[key]
                self._number([group])

    def _rare_compounds(self) -> None:
        """ "metal bench" said twice still says that there is a bench."""
        if self.config.rare_compounds != "head":
            return
        for key in sorted(self.reasons):
            head = head_of(key)
            if head in self.tags and key in self.by_key and self.reasons[key].startswith("fewer"):
                tag_id = self.tags[head]
                del self.reasons[key]
                self.tags[key] = tag_id
                self.why[key] = Merge(
                    tag_id, key[0], head[0], "rare compound: head noun", 1, "auto"
                )

    def _surfaces(self) -> tuple[Surface, ...]:
        """Every surface of the corpus and the seeds once, and those of the older system."""
        found = {(s.surface, s.kind): s for s in self.previous.surfaces}
        noted = {place: s.reason for place, s in found.items() if s.tag_id is not None}
        for (surface, kind), number in {**self._unsaid(), **self.mentions}.items():
            tag_id = self.tags.get((surface, PART[kind]))
            reason = noted.get((surface, kind))
            if tag_id is None:
                reason = self.reasons[surface, PART[kind]]
            elif reason != KEPT_BY_HAND and (seed := self.seeds.get((surface, PART[kind]))):
                reason = seed.reason
            found[surface, kind] = Surface(
                surface, kind, tag_id, "kept" if tag_id is not None else "dropped", reason, number
            )
        return tuple(found[key] for key in sorted(found))

    def _unsaid(self) -> dict[tuple[str, Kind], int]:
        """Seeds, their forms and names of tags in kinds that the corpus does not say them in."""
        kinds = {key: self.seeds[key].kind for key in sorted(self.seeds)}
        for (_, part), seed in sorted(self.seeds.items()):
            for form in seed.forms:
                if (form, part) in self.tags:
                    kinds.setdefault((form, part), seed.kind)
        said = {(surface, PART[kind]) for surface, kind in self.mentions}
        return {
            (key[0], kind): 0
            for key, kind in kinds.items()
            if key not in said or self.names.get(self.tags.get(key, -1)) == key
        }

    def _labels(self, surfaces: Sequence[Surface]) -> tuple[Label, ...]:
        total: dict[int, int] = defaultdict(int)
        for surface in surfaces:
            if surface.tag_id is not None:
                total[surface.tag_id] += surface.mentions
        return tuple(
            Label(tag_id, self.names[tag_id][0], self.kinds[tag_id], total[tag_id])
            for tag_id in sorted(self.names)
        )

    def _merges(self) -> tuple[Merge, ...]:
        """Applied ones, and those that a person should look at; older rows stay."""
        found = {_ends(m): m for m in [*self._to_review(), *self.why.values()]}
        found |= {_ends(m): m for m in self.previous.merges}
        return tuple(found[ends] for ends in sorted(found))

    def _to_review(self) -> Iterator[Merge]:
        # Which of two words is merged into the other follows the counts; the question is the same.
        known = {
            (PART[self.previous.kind_of(m)], frozenset({m.surface, m.into}))
            for m in self.previous.merges
        }
        for a, b, why in weak_pairs(self.tags, self.doubts, self.words):
            if self.tags[a] == self.tags[b] or (a[1], frozenset({a[0], b[0]})) in known:
                continue
            into, key = sorted((a, b), key=lambda k: (-self.by_key[k], self.tags[k], k))
            yield Merge(self.tags[into], key[0], into[0], why.text, why.score, "needs-review")


def _ends(merge: Merge) -> tuple[str, str, int]:
    return merge.surface, merge.into, merge.tag_id
