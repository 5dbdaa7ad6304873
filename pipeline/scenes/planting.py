"""Planting faults: what a caption leaves out, what it says wrongly, and which words it uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pipeline.scenes.compose import Item, Scene, Tag
from pipeline.scenes.decks import Deck, Quota
from pipeline.scenes.vocabulary import Kind, load_vocabulary

WrongKind = Literal["wrong-confusable", "wrong-random"]
WRONG_KINDS: tuple[WrongKind, WrongKind] = ("wrong-confusable", "wrong-random")
SHORTEST = 2
# Attributes and actions also go with their object, so by themselves they go less often; a scene
# never has to wait for others to go with it, so it would go more often.
DROP_CHANCE: dict[Kind, float] = {"object": 1.0, "scene": 0.85, "attribute": 0.3, "action": 0.25}


@dataclass
class Plan:
    """What one caption says."""

    kept: list[Tag]
    missing: list[Tag]
    wrong: dict[Tag, WrongKind] = field(default_factory=dict)
    synonyms: dict[str, str] = field(default_factory=dict)


class Planter:
    """Decides what each caption says, keeping the shares exact over all captions."""

    def __init__(
        self,
        seed: list[int],
        *,
        missing: float,
        wrong: float,
        confusable: float,
        synonyms: float,
    ) -> None:
        rngs = [np.random.default_rng([*seed, 2, stream]) for stream in range(5)]
        self._missing = Quota(missing, rngs[0])
        # `wrong` is a share of what captions say, so it is taken on top of what they say rightly.
        self._wrong = Quota(wrong / (1 - wrong), rngs[1])
        taken = round(confusable * 100)
        first, second = WRONG_KINDS
        kinds = [first if number < taken else second for number in range(100)]
        self._kinds = Deck(kinds, rngs[2])
        self._synonyms = Quota(synonyms, rngs[3])
        self._rng = rngs[4]
        self._vocabulary = load_vocabulary()
        self._people = {thing.name for thing in self._vocabulary.people}

    def plan(self, scene: Scene) -> Plan:
        """Plan the caption of one scene."""
        tags = scene.tags()
        gone = self._drop(scene, tags)
        plan = Plan([t for t in tags if t not in gone], [t for t in tags if t in gone])
        wanted = self._wrong.take(len(plan.kept))
        for _ in range(wanted):
            if not self._add_wrong(scene, plan):
                self._wrong.owe(1)
        self._choose_synonyms(plan)
        return plan

    def _drop(self, scene: Scene, tags: list[Tag]) -> set[Tag]:
        quota = self._missing.take(len(tags))
        allowed = min(quota, len(tags) - SHORTEST)
        gone: set[Tag] = set()
        chance = [DROP_CHANCE[tag.kind] for tag in tags]
        order = np.argsort(self._rng.random(len(tags)) ** (1 / np.array(chance)))[::-1]
        for tag in (tags[i] for i in order):
            more = gone | {tag}
            more |= {t for t in tags if t not in more and not _told(scene, t, more)}
            objects_left = any(t.kind == "object" and t not in more for t in tags)
            if len(more) <= allowed and objects_left:
                gone = more
        self._missing.owe(quota - len(gone))
        return gone

    def _add_wrong(self, scene: Scene, plan: Plan) -> bool:
        kind = self._kinds.deal()
        options = self._confusable if kind == "wrong-confusable" else self._random
        true = {*plan.kept, *plan.missing}
        banned = {tag.name for tag in scene.unclear()}
        order = self._rng.permutation(len(plan.kept))
        for base in (plan.kept[i] for i in order):
            found = [
                tag
                for tag in options(scene, plan, base)
                if tag not in true
                and tag not in plan.wrong
                and tag.name not in banned
                and has_room(scene, plan, tag)
            ]
            if found:
                plan.wrong[found[int(self._rng.integers(len(found)))]] = kind
                return True
        self._kinds.put_back(kind)
        return False

    def _confusable(self, scene: Scene, plan: Plan, base: Tag) -> list[Tag]:
        # A caption that leaves something out may well name what it was taken for instead.
        bases = [tag.name for tag in plan.missing if tag.kind == base.kind]
        if not bases or self._rng.random() < 0.5:
            bases = [base.name]
        names = [n for b in bases for n in self._vocabulary.confusable(base.kind, b)]
        return [Tag(name, base.kind) for name in names]

    def _random(self, scene: Scene, plan: Plan, base: Tag) -> list[Tag]:
        tags = [*plan.kept, *plan.missing]
        kind = base.kind
        if base.name in self._people and self._rng.random() < 0.6:
            # People are seldom seen doing something, so there is more to be said of them.
            kind = "action"
        near = {n for t in tags if t.kind == kind for n in self._near(t)}
        return [Tag(n, kind) for n in self._vocabulary.names(kind) if n not in near]

    def _near(self, tag: Tag) -> tuple[str, ...]:
        return self._vocabulary.confusable(tag.kind, tag.name)

    def _choose_synonyms(self, plan: Plan) -> None:
        words = {t.name: t.synonyms for t in self._vocabulary.objects + self._vocabulary.people}
        able = [t.name for t in plan.kept if t.kind == "object" and words[t.name]]
        chosen = self._rng.permutation(len(able))[: self._synonyms.take(len(able))]
        for name in (able[i] for i in sorted(chosen)):
            plan.synonyms[name] = words[name][int(self._rng.integers(len(words[name])))]


def _told(scene: Scene, tag: Tag, gone: set[Tag]) -> bool:
    """Say whether a caption without `gone` can still tell of an attribute or action."""
    if tag.kind == "attribute":
        bearers = [i.thing.name for i in scene.items if tag.name in i.attributes]
    elif tag.kind == "action":
        bearers = [i.thing.name for i in scene.items if i.action and i.action.name == tag.name]
    else:
        return True
    return any(Tag(name, "object") not in gone for name in bearers)


def has_room(scene: Scene, plan: Plan, tag: Tag) -> bool:
    """Say whether something in the caption can carry a wrong attribute or action."""
    if tag.kind not in ("attribute", "action"):
        return sum(w.kind == "scene" for w in plan.wrong) == 0 or tag.kind == "object"
    said = [i for i in scene.items if Tag(i.thing.name, "object") in plan.kept]
    taken = sum(w.kind == tag.kind for w in plan.wrong)
    if tag.kind == "action":
        idle = [i for i in said if i.thing.person and not _says_action(i, plan)]
        return len(idle) > taken
    return len([i for i in said if not i.thing.person]) > taken


def _says_action(item: Item, plan: Plan) -> bool:
    return item.action is not None and Tag(item.action.name, "action") in plan.kept
