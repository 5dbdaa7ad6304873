"""Real captions through the real parser: tags, relations, order, and any text at all."""

from __future__ import annotations

import json
import re
from typing import cast
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parsing import text as text_module
from parsing.errors import ParsingError
from parsing.graph import Object, SceneGraph
from parsing.registry import Parser, make_parser
from parsing.text import clean
from tests.parsing.captions import EXPECTED


def _set(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}


def _read(parser: Parser, caption: str) -> SceneGraph:
    return parser.parse([caption])[0]


@pytest.mark.parametrize(
    ("caption", "objects", "attributes", "actions"), EXPECTED, ids=[row[0] for row in EXPECTED]
)
def test_tags(parser: Parser, caption: str, objects: str, attributes: str, actions: str) -> None:
    graph = _read(parser, caption)
    assert {o.name for o in graph.objects} == _set(objects)
    assert {a.name for a in graph.attributes} == _set(attributes)
    assert {a.name for a in graph.actions} == _set(actions)


@pytest.mark.parametrize(
    ("caption", "relation"),
    [
        ("a cat laying in a suitcase next to a pillow", ("cat", "lay in", "suitcase")),
        ("a cat laying in a suitcase next to a pillow", ("cat", "lay next to", "pillow")),
        ("a chair is in front of a desk", ("chair", "in front of", "desk")),
        ("a bird on top of a fence", ("bird", "on top of", "fence")),
        ("many planes are parked next to a building", ("plane", "park next to", "building")),
        ("a group of people sitting around a fire", ("person", "sit around", "fire")),
        ("a man eats pizza and drinks milk", ("man", "drink", "milk")),
        ("a person's hand", ("person", "have", "hand")),
        ("a clock is on a desk", ("clock", "on", "desk")),
        ("a boy in a t-shirt riding a wave", ("boy", "ride", "wave")),
        ("a boy on a bike jumping over a box", ("boy", "jump over", "box")),
        ("a hiker is climbing up a snowy mountain", ("hiker", "climb up", "mountain")),
        ("A person biking down a city street in gloves and a warm hat .", ("person", "in", "hat")),
        ("The dog is in snow , and has a stick in its mouth .", ("stick", "in", "mouth")),
        ("The dog is in snow , and has a stick in its mouth .", ("dog", "have", "stick")),
        ("A closeup of a man holding a baby wearing a blue shirt .", ("baby", "wear", "shirt")),
        ("a dog jumps with its mouth open", ("dog", "with", "mouth")),
        ("three children run by the water", ("child", "run by", "water")),
        ("a cake is cut by a woman", ("woman", "cut", "cake")),
        ("the house in which the poet lived", ("poet", "live in", "house")),
        ("a table on which a cat is sleeping", ("cat", "sleep on", "table")),
        ("An owl sits on a branch with its wings spread", ("owl", "with", "wing")),
        ("a car abandoned in a field, surrounded by grass", ("grass", "surround", "car")),
        ("A biker in red rides in the countryside .", ("biker", "ride in", "countryside")),
        ("horse grazing in a field", ("horse", "graze in", "field")),
        ("Boy playing with a truck .", ("boy", "play with", "truck")),
        ("A guy with a scarf and woven toboggan .", ("guy", "with", "scarf")),
        ("Three people on bikes racing through cones .", ("person", "race through", "cone")),
        ("A man on a bicycle riding on the beach .", ("man", "ride on", "beach")),
        ("A man in a grey suit kneels in front of a woman", ("man", "kneel in front of", "woman")),
        ("A baby in a white and pink dress walks .", ("baby", "in", "dress")),
        ("actor and film director drive through the crowd", ("actor", "drive through", "crowd")),
        ("bride and groom walk along a path", ("bride", "walk along", "path")),
        ("artist performs on stage at festival", ("artist", "perform on", "stage")),
        ("artist performs on stage at festival", ("artist", "perform at", "festival")),
        ("A boy slides down a water slide with his eyes closed .", ("boy", "with", "eye")),
        ("The dog rolls on his back in the grass .", ("dog", "roll in", "grass")),
        ("A guy performs a trick in the snow .", ("guy", "perform in", "snow")),
        ("A man dances with a girl in front of a crowd", ("man", "dance in front of", "crowd")),
        ("A child running on a street in snow .", ("child", "run in", "snow")),
        ("A boy and girl in blue shirts", ("boy", "in", "shirt")),
        ("People marching on the grass in yellow shirts", ("person", "in", "shirt")),
        ("A surfer rides a wave toward the shore .", ("surfer", "ride toward", "shore")),
        ("A car sitting in a field with flowers", ("field", "with", "flower")),
        ("A boy jumps off a rail .", ("boy", "jump off", "rail")),
        ("A dog makes a jump wearing a suit .", ("dog", "wear", "suit")),
        ("a player is being handed a towel on the field", ("player", "hand on", "field")),
        ("pedestrians walk past an ambulance in the city", ("pedestrian", "walk in", "city")),
        ("A girl on skis in snow .", ("girl", "in", "snow")),
        ("The dog is running with his toy in his mouth .", ("toy", "in", "mouth")),
        ("A bird with brown feathers on its wings .", ("feather", "on", "wing")),
        ("Two women in black with flags are standing .", ("woman", "with", "flag")),
        ("people looking through a window at airliner", ("person", "look at", "airliner")),
        ("A skier charges down a mountain", ("skier", "charge down", "mountain")),
        ("A woman wearing a grey jacket and pink sunglasses", ("woman", "wear", "sunglasses")),
        ("A woman in black leggings and beige boots .", ("woman", "in", "boot")),
        ("A woman with a hooded shirt and bikini bottoms", ("woman", "with", "bikini bottom")),
        ("Three women in dresses and head scarves", ("woman", "in", "head scarf")),
        ("happy bride and groom walking in the mountains", ("bride", "walk in", "mountain")),
        ("the girl in blue kicks the soccer ball .", ("girl", "kick", "soccer ball")),
        ("Two girls are wading in the ocean wearing shorts .", ("girl", "wear", "shorts")),
        ("A man jumps over a shed which is covered with snow", ("shed", "cover with", "snow")),
        ("a man 's hat and coat", ("man", "have", "coat")),
        # what follows a whole list, what begins one
        ("roses and tulips in a vase", ("tulip", "in", "vase")),
        ("person wearing a silver dress , pink fur coat , hat", ("person", "wear", "fur coat")),
        ("actor in a black top , red sweater and loafers", ("actor", "in", "sweater")),
        ("how to grow a sunflower in a pot", ("sunflower", "in", "pot")),
        ("hard rock artist performs live on stage", ("rock artist", "perform on", "stage")),
        ("movie poster image for romance film", ("movie poster", "for", "romance film")),
    ],
)
def test_relations(parser: Parser, caption: str, relation: tuple[str, str, str]) -> None:
    found = {(r.subject, r.name, r.object) for r in _read(parser, caption).relations}
    assert relation in found


def test_passive_has_its_agent(parser: Parser) -> None:
    (action,) = _read(parser, "a cake is cut by a woman").actions
    assert (action.subject, action.name, action.object) == ("woman", "cut", "cake")


@pytest.mark.parametrize(
    ("caption", "action"),
    [
        ("red hearts reflected in the water", ("reflect", None, "heart")),
        ("A bird takes off , surrounded by large rocks", ("surround", "rock", "bird")),
        ("a boy sits on a bench , covered in foam", ("cover", None, "boy")),
        ("Three children standing by a pool are covered in foam", ("stand", "child", None)),
        ("A trio of beavers working on trees by the river", ("work", "beaver", None)),
        ("three children run by the water", ("run", "child", None)),
        ("the house in which the poet lived", ("live", "poet", None)),
        ("a table on which a cat is sleeping", ("sleep", "cat", None)),
        ("the ball that a dog chases", ("chase", "dog", "ball")),
        ("image may contain : dog , sitting on a chair", ("sit", "dog", None)),
        ("image shows a man , smiling and holding a trophy", ("hold", "man", "trophy")),
        ("a man in a cowboy hat drums", ("drum", "man", None)),
        ("A woman with a large backpack hikes", ("hike", "woman", None)),
        ("A man dressed as a clown jokes", ("joke", "man", None)),
        ("photo of a man walks down the street", ("walk", "man", None)),
    ],
)
def test_who_does_what(
    parser: Parser, caption: str, action: tuple[str, str | None, str | None]
) -> None:
    found = _read(parser, caption).actions
    assert action in {(a.name, a.subject, a.object) for a in found}
    assert len([a for a in found if a.name == action[0]]) == 1


def test_attributes_know_their_object(parser: Parser) -> None:
    graph = _read(parser, "a red alarm clock on a wooden desk")
    assert {(a.name, a.object) for a in graph.attributes} == {
        ("red", "alarm clock"),
        ("wooden", "desk"),
    }


def test_coordinated_things_share_an_adjective_unless_they_have_their_own(parser: Parser) -> None:
    shared = _read(parser, "A man in a black hoodie and jeans skateboards down a railing .")
    assert {(a.name, a.object) for a in shared.attributes} == {
        ("black", "hoodie"),
        ("black", "jeans"),
    }
    own = _read(parser, "A man wearing a red hat and a coat")
    assert {(a.name, a.object) for a in own.attributes} == {("red", "hat")}


@pytest.mark.parametrize(
    ("caption", "relation"),
    [
        ("bird on a rock with waves crashing in the background", ("rock", "with", "wave")),
        ("dogs in a field with rocks in the background", ("dog", "with", "rock")),
        ("a tablet with a woman standing behind it", ("tablet", "with", "woman")),
        ("a group of men and women", ("man", "of", "woman")),
    ],
)
def test_what_is_only_in_the_same_picture(
    parser: Parser, caption: str, relation: tuple[str, str, str]
) -> None:
    graph = _read(parser, caption)
    assert relation not in {(r.subject, r.name, r.object) for r in graph.relations}
    assert {relation[0], relation[2]} <= {o.name for o in graph.objects}


def test_a_colour_worn_is_the_wearers(parser: Parser) -> None:
    graph = _read(parser, "A woman in blue and a man in red and white are dancing")
    found = {(a.name, a.object) for a in graph.attributes}
    assert found == {("blue", "woman"), ("red", "man"), ("white", "man")}


def test_a_time_is_no_place(parser: Parser) -> None:
    graph = _read(parser, "A rainy road at night .")
    assert [o.name for o in graph.objects] == ["road", "night"] and not graph.relations


def test_adjectives_of_the_photo_are_nobodys(parser: Parser) -> None:
    assert not _read(parser, "an aerial photo of a field").attributes


def test_spans_are_those_of_the_original(parser: Parser) -> None:
    caption = "  A&nbsp;big\t\tDOG &amp; two\u200b CATS near fire   hydrants "
    said = {m.name: caption[m.start : m.end] for m in _read(parser, caption).mentions()}
    assert said["dog"] == "DOG"
    assert said["cat"] == "CATS"
    assert said["big"] == "big"
    assert said["fire hydrant"] == "fire   hydrants"


def test_one_result_per_text_in_order(parser: Parser) -> None:
    texts = ["a dog", "", "a cat", "a dog", "🐶🐶"]
    graphs = parser.parse(texts)
    assert [g.caption for g in graphs] == texts
    assert graphs[0] is graphs[3]
    assert [len(g.objects) for g in graphs] == [1, 0, 1, 1, 0]


def test_batches_do_not_change_results(parser: Parser) -> None:
    texts = [row[0] for row in EXPECTED]
    small = make_parser("spacy", batch_size=3)
    assert small.parse(texts) == parser.parse(list(reversed(texts)))[::-1]


def test_long_caption_is_cut_with_a_note(parser: Parser) -> None:
    graph = _read(parser, "a dog and " * 300)
    assert graph.note is not None and "2000 of 3000" in graph.note
    assert all(m.end <= 2000 for m in graph.mentions())
    assert graph.to_dict()["note"] == graph.note


@pytest.mark.parametrize("text", ["dog " * 25_000, "x" * 100_000, "- " * 50_000, "(" * 100_000])
def test_a_hundred_thousand_characters(parser: Parser, text: str) -> None:
    graph = _read(parser, text)
    assert graph.caption == text and graph.note is not None


def test_graph_is_json(parser: Parser) -> None:
    content = _read(parser, "a cat on a mat").to_dict()
    assert list(content) == ["caption", "objects", "attributes", "actions", "relations"]
    assert json.loads(json.dumps(content))["objects"][1]["name"] == "mat"
    assert content["objects"][0] == {"name": "cat", "start": 2, "end": 5, "kind": "object"}


def test_mentions_are_unique(parser: Parser) -> None:
    for caption, *_ in EXPECTED:
        mentions = _read(parser, caption).mentions()
        assert len({(m.name, m.kind, m.start) for m in mentions}) == len(mentions)


_VOCABULARY = (
    "a the no two dog dogs man running run runs red in of on 's - and not without is photo "
    "group t-shirt who that & &amp; <b> , . ( 🐶 PARIS it there "
    "שלום مرحبا \u202e \x07 looking dressed standing jumps climbs pants up swings #tag - #"
)
_WORDS = st.sampled_from(_VOCABULARY.split())
_TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(codec=None, categories=None), max_size=30),
    st.lists(_WORDS, max_size=14).map(" ".join),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_TEXTS, max_size=4))
def test_any_text_is_read(parser: Parser, texts: list[str]) -> None:
    graphs = parser.parse(texts)
    assert [g.caption for g in graphs] == texts
    for text, graph in zip(texts, graphs, strict=True):
        items = [*graph.objects, *graph.attributes, *graph.actions, *graph.relations]
        for item in cast(list[Object], items):
            assert 0 <= item.start < item.end <= len(text)
            assert item.name.strip() == item.name != ""
        for mention in graph.mentions():
            assert mention.name == mention.name.lower()


@given(
    st.one_of(
        st.text(st.characters(codec="ascii"), max_size=40),
        st.sampled_from([row[0] for row in EXPECTED]),
    )
)
def test_the_short_way_for_plain_text_gives_the_same(caption: str) -> None:
    short = clean(caption)
    with mock.patch.object(text_module, "_PLAIN", re.compile("(?!)")):
        long = clean(caption)
    assert (short.text, [*short.starts], [*short.ends]) == (long.text, long.starts, long.ends)


def test_digest_names_model_and_rules() -> None:
    assert make_parser("spacy").digest == make_parser("spacy").digest
    assert len(make_parser("spacy").digest) == 16


def test_unknown_names_are_explained() -> None:
    with pytest.raises(ParsingError, match=r"Unknown parser 'spicy'. Choose from: .*spacy"):
        make_parser("spicy")
    with pytest.raises(ParsingError, match="not installed: pip install"):
        make_parser("spacy", model="no_such_model").setup()
