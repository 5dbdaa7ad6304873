"""Builds a label system: cut by frequency, joined by evidence, numbered by frequency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from parsing import wordnet
from parsing.config import LabelConfig
from parsing.graph import Kind
from parsing.labels import Label, LabelSystem, Merge, Surface, SurfaceCount
from parsing.merging import NO_DOUBTS, PART, Doubts, Key, evidence, groups, head_of, weak_pairs


class Builder:
    """One build; every step is a function of sorted input, so order in never matters."""

    def __init__(
        self, counts: Sequence[SurfaceCount], config: LabelConfig, previous: LabelSystem,
        doubts: Doubts = NO_DOUBTS,
    ) -> None:  # fmt: skip
        self.config, self.doubts = config, doubts
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
        self._number(groups([*self._candidates(), *self.tags], self.doubts))
        self._rare_compounds()
        surfaces = self._surfaces()
        return LabelSystem(self._labels(surfaces), surfaces, self._merges())

    def _candidates(self) -> list[Key]:
        return [k for k in sorted(self.by_key) if k not in self.tags and k not in self.reasons]

    def _cut(self) -> None:
        """Surfaces that cannot become tags of their own: too far down the list, not picturable."""
        ranked = sorted(self.by_key, key=lambda key: (-self.by_key[key], key))
        for key in ranked[self.config.top :]:
            self.reasons.setdefault(key, f"beyond the {self.config.top} most frequent surfaces")
        for surface, kind in sorted(self.mentions):
            if (reason := wordnet.picturable(surface, kind)) is not None:
                self.reasons.setdefault((surface, PART[kind]), reason)

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
                fresh.append(sorted(group, key=lambda key: (-self.by_key[key], key)))
        fresh.sort(key=lambda group: (-self._total(group), group[0]))
        next_id, room = self.previous.first_free, self.config.ids - len(self.previous.labels)
        for group in fresh:
            if self._total(group) < self.config.min_mentions:
                reason = f"fewer than {self.config.min_mentions} mentions"
            elif room <= 0:
                reason = f"beyond the {self.config.ids} most frequent tags"
            else:
                self._new_tag(next_id, group)
                next_id, room = next_id + 1, room - 1
                continue
            self.reasons.update(dict.fromkeys(group, reason))

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
        kinds = [(-n, k) for (s, k), n in self.mentions.items() if (s, PART[k]) == key]
        return min(kinds)[1]

    def _merge(self, key: Key, tag_id: int, into: Key) -> None:
        found = evidence(key, into)
        text, score = (found.text, found.score) if found else (f"through {into[0]}'s group", 0.5)
        self.tags[key] = tag_id
        self.why[key] = Merge(tag_id, key[0], into[0], text, round(score, 4), "auto")

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
        """Every surface of the corpus once, and those of the older system that it lacks."""
        found = {(s.surface, s.kind): s for s in self.previous.surfaces}
        for (surface, kind), number in self.mentions.items():
            tag_id = self.tags.get((surface, PART[kind]))
            reason = None if tag_id is not None else self.reasons[surface, PART[kind]]
            found[surface, kind] = Surface(
                surface, kind, tag_id, "kept" if reason is None else "dropped", reason, number
            )
        return tuple(found[key] for key in sorted(found))

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
        for a, b, why in weak_pairs(self.tags, self.doubts):
            if self.tags[a] == self.tags[b]:
                continue
            into, key = sorted((a, b), key=lambda k: (-self.by_key[k], self.tags[k], k))
            yield Merge(self.tags[into], key[0], into[0], why.text, why.score, "needs-review")


def _ends(merge: Merge) -> tuple[str, str, int]:
    return merge.surface, merge.into, merge.tag_id
