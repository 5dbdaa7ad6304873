"""Faults of the language model that the mending rules put right, and what they leave alone."""

from __future__ import annotations

import pytest

from parsing.graph import SceneGraph
from parsing.registry import Parser

Item = tuple[str | None, ...]


def _items(graph: SceneGraph) -> set[Item]:
    """Objects (one word), attributes (two), actions (verb, who, what) and relations (four)."""
    found: set[Item] = {(o.name,) for o in graph.objects}
    found |= {(a.name, a.object) for a in graph.attributes}
    found |= {(a.name, a.subject, a.object) for a in graph.actions}
    return found | {("rel", r.subject, r.name, r.object) for r in graph.relations}


MENDED: list[tuple[str, Item]] = [
    # a participle between two nouns is what the first does
    ("man combing hair at the barbershop", ("comb", "man", "hair")),
    ("the bride and groom holding hands during the feast", ("hold", "bride", "hand")),
    ("bison crossing road in the fog", ("cross", "bison", "road")),
    ("a girl in a white hat picking grapes", ("pick", "girl", "grape")),
    ("Dog with long wet hair biting stick .", ("bite", "dog", "stick")),
    ("A brown , black , and white dog barking at a cat .", ("brown", "dog")),
    ("A man dressed in a funny outfit dancing around .", ("dance", "man", None)),
    ("The girl is in a harness , climbing rocks .", ("climb", "girl", "rock")),
    ("A young child sits on grass watching .", ("watch", "child", None)),
    # those coordinated do it together
    ("Two men and a woman sitting on a bench .", ("sit", "man", None)),
    # a past form before a bare noun says how that is
    ("bacon , and toasted bread on a plate", ("toasted", "bread")),
    ("a moto jacket and checkered dress with sneakers .", ("checkered", "dress")),
    ("Two boys are walking down a tree lined dirt path .", ("tree lined", "dirt path")),
    ("A boy climbs a graffiti covered wall .", ("graffiti covered", "wall")),
    ("heart shaped balloons in the sky", ("heart shaped", "balloon")),
    ("vector pattern with colored hand drawn symbols", ("colored", "symbol")),
    ("an oil - rubbed bronze lamp", ("oil-rubbed", "lamp")),
    # and done to the thing beside it, or to the subject
    ("actor arrives at the wedding held", ("hold", None, "wedding")),
    ("shelves recessed into the wall", ("recess", None, "shelf")),
    ("very large yacht moored in the port", ("moor", None, "yacht")),
    # adjectives that look like deeds
    ("typewriter with a missing key", ("missing", "key")),
    ("rolling hills under a cloud", ("rolling", "hill")),
    ("a walkway over rushing water", ("rel", "walkway", "over", "water")),
    ("birds against setting sun", ("set", "sun", None)),
    # who is there does it, not where it is
    ("A dog runs through a creek with a stick in its mouth .", ("rel", "dog", "run with", "stick")),
    ("A dog is perched against a tree looking at the top .", ("look", "dog", None)),
    ("a man jumps across an obstacle carrying his bike", ("carry", "man", "bike")),
    ("A man sits on a hill overlooking the sea .", ("overlook", "hill", "sea")),
    ("an arch erected during the reign of monarch , who ruled there", ("rule", "monarch", None)),
    # verbs that hide in names
    ("Three dogs race in the snow together .", ("race", "dog", None)),
    ("a sudden downpour drives person , to seek cover", ("drive", "downpour", "person")),
    ("girl with beautiful hands searches on the internet", ("search", "girl", None)),
    ("A woman in red and white poses in a parade", ("pose", "woman", None)),
    ("A couple hugs while holding a tiger .", ("hug", "couple", None)),
    # lists
    ("a laptop , a mug and papers sit on a desk", ("sit", "paper", None)),
    ("a bat with a hammer , a girl and a woman", ("rel", "bat", "with", "woman")),
    ("celebrity and organisation founder celebrate", ("celebrate", "celebrity", None)),
    # names
    ("a model at the summer fashion show", ("summer",)),
    ("a model at the summer fashion show", ("fashion show",)),
    ("winter rural landscape", ("winter",)),
    ("a man at a martial arts match", ("martial arts match",)),
    ("men 's leather hiking boots", ("hiking boot",)),
    ("Singer Adele performs on stage", ("perform", "singer", None)),
    ("actor Brad Pitt waves", ("actor",)),
    ("a few of the cows are sleeping", ("sleep", "cow", None)),
    ("retro wooden clock hanging on a wall", ("retro", "clock")),
    # a dash before words about the picture ends the caption
    ("a cup of coffee - stock photo", ("rel", "cup", "of", "coffee")),
]
ABSENT: list[tuple[str, Item]] = [
    ("hand painted artwork on a wall", ("hand",)),
    ("snakes for sale in a shop", ("sale",)),
    ("sumo fighter on a mat , slow motion", ("slow motion",)),
    ("A brown dog is running over snow near leafless trees .", ("leafless",)),
    ("an exterior view of the house taken from a roof", ("take", None, "house")),
    ("the winding path to a lighthouse", ("wind", "path", None)),
    ("a few of the cows are sleeping", ("few",)),
    ("a man swimming near a backpack , a dog and a cup in a pool", ("swim", "cup", None)),
    ("a man is riding a bike beside a chicken , a boy and a drum", ("ride", "man", "drum")),
]
LEFT_ALONE: list[tuple[str, Item]] = [
    ("an award winning chef in a kitchen", ("chef",)),
    ("a sleeping tiger", ("sleep", "tiger", None)),
    ("blooming daffodils in a vase", ("bloom", "daffodil", None)),
    ("a smiling woman", ("smile", "woman", None)),
    ("One boy skating on a rail and three girls watching .", ("watch", "girl", None)),
    ("a tree with lights on its branches", ("rel", "tree", "with", "light")),
    ("a man eats bacon and drinks milk", ("drink", "man", "milk")),
    ("people climbing a snow covered mountain", ("snow",)),
    ("a summer dress on a bed", ("summer dress",)),
    ("a christmas tree farm", ("christmas tree farm",)),
    ("the girls basketball game", ("girls basketball game",)),
    ("person , a singer and actor , is on stage", ("rel", "person", "on", "stage")),
    ("police have taken a man to a car", ("take", "police", "man")),
    ("a dog takes a nap", ("take", "dog", "nap")),
    ("a car crashed into a wall", ("crash", "car", None)),
    ("a boat docked at the harbor", ("dock", "boat", None)),
    ("a ladder by the workout room", ("workout room",)),
    ("boats - in the harbor", ("rel", "boat", "in", "harbor")),
    ("a child jumping with his shirt flying open", ("fly", "shirt", None)),
    ("a man in red", ("red", "man")),
    ("the mother of a boy who laughs", ("laugh", "boy", None)),
    ("a black and white striped shirt", ("striped", "shirt")),
]


@pytest.mark.parametrize(("caption", "item"), MENDED)
def test_is_mended(parser: Parser, caption: str, item: Item) -> None:
    assert item in _items(parser.parse([caption])[0])


@pytest.mark.parametrize(("caption", "item"), ABSENT)
def test_is_not_read(parser: Parser, caption: str, item: Item) -> None:
    assert item not in _items(parser.parse([caption])[0])


@pytest.mark.parametrize(("caption", "item"), LEFT_ALONE)
def test_is_left_alone(parser: Parser, caption: str, item: Item) -> None:
    assert item in _items(parser.parse([caption])[0])
