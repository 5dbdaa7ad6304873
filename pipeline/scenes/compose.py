"""Composing one scene: which things it shows, how each looks, and where each stands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from pipeline.scenes.backgrounds import background
from pipeline.scenes.decks import Deck, Quota
from pipeline.scenes.placing import Box, Canvas
from pipeline.scenes.sprites import COLOUR_NAMES, colour_shares, paint, pattern, sprite, styles_with
from pipeline.scenes.vocabulary import Action, Kind, Place, Thing, load_vocabulary

PAINTS = {
    "any": COLOUR_NAMES,
    "coat": ("white", "black"),
    "fruit": ("red", "green", "yellow"),
}
PATTERNS = ("striped", "spotted", "checkered")
# A colour on most of a thing is true of it; one on a little of it could be said or not.
TRUE_SHARE = 0.6
UNCLEAR_SHARE = 0.1
ACTIVE = 0.85
REPEATED = 0.1
DECORATED = 0.3
# Longer sides of things, as shares of the picture's; many things leave less room for each.
SMALLEST, LARGEST, ROOM = 0.36, 0.58, 1.35


class Tag(NamedTuple):
    """A name and its kind: what is true, or claimed, of an image."""

    name: str
    kind: Kind


@dataclass
class Item:
    """One thing in a scene."""

    thing: Thing
    action: Action | None = None
    attributes: tuple[str, ...] = ()
    unclear: frozenset[str] = frozenset()
    style: str = ""
    code: str = ""
    box: Box = (0, 0, 0, 0)
    outlier: bool = False  # upside down: right, and unlike the others of its class

    def objects(self) -> list[str]:
        """List the objects it shows: a woman rowing is a woman and a boat."""
        extra = [self.action.object] if self.action and self.action.object else []
        return [self.thing.name, *extra]


@dataclass
class Scene:
    """One picture and what is true of it; later items lie over earlier ones."""

    place: Place
    items: list[Item] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    image: Image.Image | None = None

    def tags(self) -> list[Tag]:
        """List what is true, each tag once."""
        found = [Tag(name, "object") for item in self.items for name in item.objects()]
        found += [Tag(name, "attribute") for item in self.items for name in item.attributes]
        found += [Tag(item.action.name, "action") for item in self.items if item.action]
        return list(dict.fromkeys([*found, Tag(self.place.name, "scene")]))

    def unclear(self) -> list[Tag]:
        """List what could be said or not of some thing here, each tag once.

        It may be true of another.
        """
        found = [Tag(name, "scene") for name in self.place.unclear]
        for item in self.items:
            found += [Tag(name, "object") for name in item.thing.unclear]
            found += [Tag(name, "attribute") for name in sorted(item.unclear)]
            seen = item.action.unclear if item.action else ()
            actions = load_vocabulary().names("action")
            found += [Tag(name, "action" if name in actions else "object") for name in seen]
        return list(dict.fromkeys(found))


def _tickets(things: tuple[Thing, ...], homonyms: float | None) -> list[Thing]:
    """Each thing as often as it is dealt; those of one name together with the share asked for."""
    dealt = [thing for thing in things for _ in range(thing.tickets)]
    if homonyms is None:
        return dealt
    names = Counter(thing.name for thing in things)
    same = [thing for thing in things if names[thing.name] > 1]
    others = [thing for thing in dealt if names[thing.name] == 1]
    each = round(len(others) * homonyms / (1 - homonyms) / len(same))
    return [*others, *(thing for thing in same for _ in range(each))]


class Composer:
    """Deals things to scenes and draws them."""

    def __init__(
        self, seed: list[int], styles: tuple[str, ...], size: int, max_occlusion: float,
        homonyms: float | None = None, outliers: float = 0,
    ) -> None:  # fmt: skip
        vocabulary = load_vocabulary()
        self._seed, self._styles, self._size = seed, styles, size
        self._max_occlusion = max_occlusion
        things = vocabulary.objects + vocabulary.people
        self._dealt = _tickets(things, homonyms)
        self._things = Deck(self._dealt, self._rng(0))
        self._outliers = Quota(outliers, self._rng(5))
        self._actions = Deck(vocabulary.actions, self._rng(1))
        self._places = Deck(vocabulary.scenes, self._rng(2))
        self._looks = {name: Deck(colours, self._rng(3)) for name, colours in PAINTS.items()}
        self._patterns = Deck(PATTERNS, self._rng(4))

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([*self._seed, 0, stream])

    def compose(self, number: int, count: int) -> Scene:
        """Compose and draw scene `number` with `count` things."""
        rng = np.random.default_rng([*self._seed, 1, number])
        scene = Scene(self._places.deal())
        while len(scene.items) < count:
            item = self._deal(scene, rng)
            scene.items += [item]
            if len(scene.items) < count and not item.thing.person and rng.random() < REPEATED:
                scene.items += [Item(item.thing)]
        rng.shuffle(scene.items)
        scene.image = background(scene.place.name, self._size, rng)
        self._draw(scene, rng)
        return scene

    def _deal(self, scene: Scene, rng: np.random.Generator) -> Item:
        shown = {name for item in scene.items for name in item.objects()}
        for _ in range(50):
            thing = self._things.deal()
            # Homonyms never meet: "two bats" would be an animal and a club.
            if thing.name not in shown:
                break
            self._things.put_back(thing)
        else:  # little else is left to deal
            others = [one for one in self._dealt if one.name not in shown]
            thing = others[int(rng.integers(len(others)))]
        action = None
        if thing.name in ("man", "woman") and rng.random() < ACTIVE:
            action = self._actions.deal()
            if action.object in shown:
                self._actions.put_back(action)
                action = None
        return Item(thing, action)

    def _draw(self, scene: Scene, rng: np.random.Generator) -> None:
        assert scene.image is not None
        canvas = Canvas(scene.image, self._max_occlusion)
        largest = max(SMALLEST, min(LARGEST, ROOM / len(scene.items) ** 0.5))
        for item in scene.items:
            picture = self._picture(item, rng)
            # What somebody is doing shows only in a figure drawn large.
            smallest = largest if item.action else SMALLEST
            item.box = canvas.place(picture, rng.uniform(smallest, largest), rng)
        scene.visible = canvas.visible()

    def _picture(self, item: Item, rng: np.random.Generator) -> Image.Image:
        codes = item.thing.emoji
        if item.action:
            codes = item.action.man if item.thing.name == "man" else item.action.woman
        item.code = str(rng.choice(codes))
        item.style = str(rng.choice(styles_with(item.code, self._styles)))
        picture, given = self._decorate(item, sprite(item.style, item.code), rng)
        shares = colour_shares(picture)
        seen = {name for name, share in shares.items() if share >= UNCLEAR_SHARE}
        if not item.thing.person:
            clear = [name for name, share in shares.items() if share >= TRUE_SHARE]
            found = dict.fromkeys([*given, *item.thing.natural, *clear])
            # Nobody says "an orange orange".
            item.attributes = tuple(name for name in found if name != item.thing.name)
        item.unclear = frozenset(seen - set(item.attributes))
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        angle = rng.uniform(-8, 8)
        item.outlier = bool(self._outliers.take(1))
        if item.outlier:
            angle += 180
        turned = picture.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        return turned.crop(turned.getchannel("A").point(lambda a: 255 * (a > 127)).getbbox())

    def _decorate(
        self, item: Item, picture: Image.Image, rng: np.random.Generator
    ) -> tuple[Image.Image, list[str]]:
        paints = item.thing.colours
        if paints == "none" or rng.random() >= DECORATED:
            return picture, []
        if paints == "any" and rng.random() < 0.35:
            name = self._patterns.deal()
            return pattern(picture, name, rng), [name]
        colour = self._looks[paints].deal()
        return paint(picture, colour), [colour]
