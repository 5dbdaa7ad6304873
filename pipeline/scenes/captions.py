"""Writing the captions: natural, varied sentences that say exactly what their plan says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.scenes.compose import PATTERNS, Item, Scene, Tag
from pipeline.scenes.planting import Plan
from pipeline.scenes.vocabulary import Thing, load_vocabulary, plural

NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
BESIDE = ("next to", "near", "beside", "with")


@dataclass(frozen=True)
class Unit:
    """A noun phrase of a caption: one thing, or several alike."""

    thing: Thing
    word: str
    depth: int
    adjectives: tuple[str, ...] = ()
    doing: str = ""
    count: int = 1
    predicate: str = ""

    def alike(self) -> tuple[str, tuple[str, ...], str]:
        """Return what two units share that can be said as one."""
        return self.word, self.adjectives, self.doing

    def many(self) -> bool:
        """Say whether its verb is in the plural."""
        return self.count > 1 or self.thing.plural_only

    def noun(self) -> str:
        """Return its noun as it is written."""
        return plural(self.thing, self.word) if self.count > 1 else self.word

    def text(self) -> str:
        """Return article or number, adjectives and noun."""
        words = " ".join([*self.adjectives, self.noun()])
        if self.thing.plural_only:
            return f"some {words}"
        return f"{NUMBERS[self.count]} {words}" if self.count > 1 else article(words)

    def acting(self) -> str:
        """Return the noun phrase with what the thing is doing, if anything."""
        return f"{self.text()} {self.doing}".rstrip()


@dataclass
class Caption:
    """A caption and the words in which it says each of its tags."""

    text: str
    surfaces: dict[Tag, str] = field(default_factory=dict)


def article(words: str) -> str:
    """Put "a" or "an" before a noun phrase."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def write_caption(scene: Scene, plan: Plan, rng: np.random.Generator) -> Caption:
    """Write the caption of a scene as planned."""
    units = _units(scene, plan)
    units = _add_wrong(units, plan, rng)
    units = _merge(units)
    surfaces = _surfaces(units, plan)
    order = rng.permutation(len(units))
    units = [units[i] for i in order]
    if rng.random() < 0.7:
        units.sort(key=lambda unit: not unit.doing)
    units = _predicate(units, rng)
    return Caption(_sentence(units, _place(scene, plan), rng), surfaces)


def _units(scene: Scene, plan: Plan) -> list[Unit]:
    kept = set(plan.kept)
    units = []
    for depth, item in enumerate(scene.items):
        doing, extra = _doing(item, plan)
        if Tag(item.thing.name, "object") in kept:
            colours_first = sorted(item.attributes, key=lambda name: name in PATTERNS)
            adjectives = tuple(a for a in colours_first if Tag(a, "attribute") in kept)
            word = plan.synonyms.get(item.thing.name, item.thing.name)
            units.append(Unit(item.thing, word, depth, adjectives, doing))
        elif extra is not None:
            units.append(Unit(extra, plan.synonyms.get(extra.name, extra.name), depth))
    return units


def _doing(item: Item, plan: Plan) -> tuple[str, Thing | None]:
    """Return what a person is said to be doing or holding, and with what."""
    if item.action is None:
        return "", None
    extra = None
    if Tag(item.action.object, "object") in plan.kept:
        extra = _thing(item.action.object)
    word = article(plan.synonyms.get(extra.name, extra.name)) if extra else ""
    if Tag(item.action.name, "action") in plan.kept:
        return f"{item.action.ing} {word}".rstrip(), extra
    return (f"with {word}" if word else ""), extra


def _thing(name: str) -> Thing:
    vocabulary = load_vocabulary()
    return next(t for t in vocabulary.objects + vocabulary.people if t.name == name)


def _add_wrong(units: list[Unit], plan: Plan, rng: np.random.Generator) -> list[Unit]:
    """Say wrong things exactly as right ones are said."""
    units = list(units)
    said = len(units)
    used: set[int] = set()
    for tag in plan.wrong:
        if tag.kind == "object":
            units.append(Unit(_thing(tag.name), tag.name, int(rng.integers(0, said + 1))))
        elif tag.kind == "attribute":
            hosts = [i for i in range(said) if not units[i].thing.person and i not in used]
            hosts.sort(key=lambda i: len(units[i].adjectives))
            at = hosts[0]
            used.add(at)
            units[at] = replace(units[at], adjectives=(*units[at].adjectives, tag.name))
        elif tag.kind == "action":
            hosts = [i for i in range(said) if units[i].thing.person and not units[i].doing]
            hosts += [i for i in range(said) if units[i].doing.startswith("with ")]
            at = hosts[0]
            doing = f"{_ing(tag.name)} {units[at].doing}".rstrip()
            units[at] = replace(units[at], doing=doing)
    return units


def _ing(name: str) -> str:
    return next(action.ing for action in load_vocabulary().actions if action.name == name)


def _merge(units: list[Unit]) -> list[Unit]:
    merged: dict[tuple[str, tuple[str, ...], str], Unit] = {}
    for unit in units:
        if unit.alike() in merged:
            first = merged[unit.alike()]
            merged[unit.alike()] = replace(first, count=first.count + 1)
        else:
            merged[unit.alike()] = unit
    return list(merged.values())


def _surfaces(units: list[Unit], plan: Plan) -> dict[Tag, str]:
    found = {}
    for tag in [*plan.kept, *plan.wrong]:
        if tag.kind == "action":
            found[tag] = _ing(tag.name)
        elif tag.kind == "object":
            nouns = [unit.noun() for unit in units if unit.thing.name == tag.name]
            # A bicycle that is ridden stands in its rider's phrase, always alone.
            found[tag] = nouns[0] if nouns else plan.synonyms.get(tag.name, tag.name)
        else:
            found[tag] = tag.name
    return found


def _predicate(units: list[Unit], rng: np.random.Generator) -> list[Unit]:
    """Now and then turn an adjective into "the car is red"."""
    words = [unit.word for unit in units]
    for at, unit in enumerate(units):
        if unit.adjectives and words.count(unit.word) == 1 and rng.random() < 0.08:
            moved, rest = unit.adjectives[-1], unit.adjectives[:-1]
            units[at] = replace(unit, adjectives=rest, predicate=moved)
            break
    return units


def _place(scene: Scene, plan: Plan) -> str:
    phrases = []
    if Tag(scene.place.name, "scene") in plan.kept:
        phrases.append(scene.place.phrase)
    for tag in plan.wrong:
        if tag.kind == "scene":
            phrase = next(p.phrase for p in load_vocabulary().scenes if p.name == tag.name)
            phrases.append(f"near {phrase.split(' ', 1)[1]}" if phrases else phrase)
    return " ".join(phrases)


def _sentence(units: list[Unit], place: str, rng: np.random.Generator) -> str:
    first, rest = units[0], units[1:]
    others = [unit for unit in rest if unit.doing and not unit.doing.startswith("with ")]
    plain = [unit for unit in rest if unit not in others]
    cut = int(rng.integers(1, 4)) if len(plain) > 3 else len(plain)
    near, far = plain[:cut], plain[cut:]
    parts = [_opening(first, rng)]
    if near:
        parts.append(f"{_relation(first, near, rng)} {_listing(near)}")
    front = bool(place) and rng.random() < 0.12
    if place and not front:
        parts.append(place)
    text = " ".join(parts)
    text = f"{place}, {text}" if front else text
    for number, unit in enumerate(others):
        text += f" {'while' if number == 0 else 'and'} {unit.text()} {_be(unit)} {unit.doing}"
    if far:
        ending = str(rng.choice(["nearby", "behind them", "around them", "beside them"]))
        text += f", with {_listing(far)} {ending}"
    for unit in units:
        if unit.predicate:
            text += f", and the {unit.noun()} {_be(unit)} {unit.predicate}"
    return text


def _opening(unit: Unit, rng: np.random.Generator) -> str:
    choice = rng.random()
    if choice < 0.35:
        return f"there {_be(unit)} {unit.acting()}"
    if choice < 0.65 and unit.doing:
        return f"{unit.text()} {_be(unit)} {unit.doing}"
    return unit.acting()


def _relation(first: Unit, near: list[Unit], rng: np.random.Generator) -> str:
    words = list(BESIDE)
    if all(unit.depth > first.depth for unit in near):
        words.append("behind")
    if all(unit.depth < first.depth for unit in near):
        words.append("in front of")
    return str(rng.choice(words))


def _listing(units: list[Unit]) -> str:
    texts = [unit.acting() for unit in units]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _be(unit: Unit) -> str:
    return "are" if unit.many() else "is"
