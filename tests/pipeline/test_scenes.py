"""The planted scenes: their truth is true, their faults are the planned ones."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from pipeline.demo import DemoPaths, make_scenes
from pipeline.errors import PlanError
from pipeline.reporting import Quiet
from pipeline.scenes.compose import PATTERNS, Composer
from pipeline.scenes.generator import SceneConfig, generate
from pipeline.scenes.sprites import colour_shares, index, paint, sprite
from pipeline.scenes.vocabulary import load_vocabulary, plural

Rows = list[dict[str, Any]]
CONFIG = SceneConfig(scenes=160, eval_scenes=20, seed=3, size=96, duplicates=0.05, corrupt=0.05)


class Scenes:
    """A generated folder, read back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        rows: Rows = pq.read_table(path / "truth.parquet").to_pylist()
        self.truth = [row for row in rows if not row["unclear"]]
        self.unclear = [row for row in rows if row["unclear"]]
        self.faults: Rows = pq.read_table(path / "faults.parquet").to_pylist()
        self.captions: dict[str, str] = {}
        for split in ("train", "eval"):
            with (path / split / "captions.csv").open(encoding="utf-8", newline="") as file:
                self.captions |= {row["image"]: row["caption"] for row in csv.DictReader(file)}

    def tags(self, split: str) -> dict[tuple[str, str, str], bool]:
        rows = [row for row in self.truth if row["split"] == split]
        return {(row["image"], row["name"], row["kind"]): row["in_caption"] for row in rows}

    def planted(self, fault: str) -> Rows:
        return [row for row in self.faults if row["fault"].startswith(fault)]


def digest(path: Path) -> dict[str, str]:
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def said(word: str, caption: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", caption) is not None


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    path = tmp_path_factory.mktemp("scenes")
    generate(path, CONFIG)
    return Scenes(path)


def test_the_same_config_gives_the_same_bytes_and_more_scenes_keep_the_first(
    tmp_path: Path, scenes: Scenes
) -> None:
    seen: list[tuple[int, int]] = []
    few = CONFIG.model_copy(update={"scenes": 12, "eval_scenes": 3})
    generate(tmp_path / "a", few, progress=lambda done, total: seen.append((done, total)))
    generate(tmp_path / "b", few)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert seen == [(i, 15) for i in range(1, 16)]
    more = digest(scenes.path)
    pictures = {k: v for k, v in digest(tmp_path / "a").items() if k.endswith(".jpg")}
    assert {k: more[k] for k in pictures} == pictures
    captions = Scenes(tmp_path / "a").captions
    assert captions == {image: scenes.captions[image] for image in captions}


def test_what_is_neither_right_nor_wrong_is_told_and_never_planted(scenes: Scenes) -> None:
    unclear = {(row["image"], row["name"]) for row in scenes.unclear}
    assert {row["split"] for row in scenes.unclear} == {"train", "eval"}
    assert len(unclear) > len(scenes.captions)
    assert not unclear & {(row["image"], row["name"]) for row in scenes.planted("wrong")}
    assert {row["kind"] for row in scenes.unclear} == {"object", "attribute", "action", "scene"}
    colours = {(row["name"], row["kind"]) for row in scenes.unclear if row["name"] == "orange"}
    assert colours == {("orange", "attribute")}
    # A man's clothes have colours, but nobody was asked to say so.
    dressed = {row["image"] for row in scenes.truth if row["name"] in ("man", "woman")}
    looked = {row["image"] for row in scenes.unclear if row["kind"] == "attribute"}
    assert len(dressed & looked) > 0.9 * len(dressed)


def test_shares_hold(scenes: Scenes) -> None:
    tags = scenes.tags("train")
    kept = sum(tags.values())
    wrong = scenes.planted("wrong")
    assert 1 - kept / len(tags) == pytest.approx(CONFIG.missing, abs=0.02)
    assert len(wrong) / (len(wrong) + kept) == pytest.approx(CONFIG.wrong, abs=0.015)
    confusable = len(scenes.planted("wrong-confusable"))
    assert confusable / len(wrong) == pytest.approx(CONFIG.confusable, abs=0.08)
    assert {row["kind"] for row in wrong} == {"object", "attribute", "action", "scene"}
    words = {t.name: t.synonyms for t in load_vocabulary().objects + load_vocabulary().people}
    able = sum(k == "object" and t and bool(words[n]) for (_, n, k), t in tags.items())
    assert len(scenes.planted("synonym")) / able == pytest.approx(CONFIG.synonyms, abs=0.05)
    assert len(scenes.planted("duplicate")) == pytest.approx(CONFIG.duplicates * 160, abs=3)


def test_no_share_means_no_fault(tmp_path: Path) -> None:
    clean = SceneConfig(
        scenes=15, eval_scenes=0, size=64, missing=0, wrong=0, synonyms=0, duplicates=0
    )
    generate(tmp_path, clean)
    assert Scenes(tmp_path).faults == []


def test_evaluation_captions_are_clean(scenes: Scenes) -> None:
    assert all(scenes.tags("eval").values())
    assert [row for row in scenes.faults if row["split"] == "eval"] == []


def test_captions_say_what_is_in_them_and_no_more(scenes: Scenes) -> None:
    vocabulary = load_vocabulary()
    words: dict[tuple[str, str], list[str]] = defaultdict(list)
    for thing in vocabulary.objects + vocabulary.people:
        for word in (thing.name, *thing.synonyms):
            words[thing.name, "object"] += [word, plural(thing, word)]
    words |= {(a.name, "action"): [a.ing] for a in vocabulary.actions}
    words |= {(a.name, "attribute"): [a.name] for a in vocabulary.attributes}
    words |= {(p.name, "scene"): [p.name] for p in vocabulary.scenes}
    claimed = {tag for tag, kept in (scenes.tags("train") | scenes.tags("eval")).items() if kept}
    claimed |= {(row["image"], row["name"], row["kind"]) for row in scenes.planted("wrong")}
    for image, caption in scenes.captions.items():
        assert caption == caption.lower()
        allowed = {w for (i, n, k) in claimed if i == image for w in words[n, k]}
        for key, forms in words.items():
            if (image, *key) in claimed:
                assert any(said(word, caption) for word in forms), (key, caption)
            else:
                assert not any(said(w, caption) for w in forms if w not in allowed), (key, caption)


def test_every_fault_is_what_it_says(scenes: Scenes) -> None:
    tags, vocabulary = scenes.tags("train"), load_vocabulary()
    for row in scenes.faults:
        key = (row["image"], row["name"], row["kind"])
        caption = scenes.captions[row["image"]]
        if row["fault"].startswith("wrong"):
            assert key not in tags
            assert said(row["surface"], caption)
        elif row["fault"] == "missing":
            assert tags[key] is False
        elif row["fault"] == "synonym":
            assert tags[key]
            assert said(row["surface"], caption)
        if row["fault"] == "wrong-confusable":
            true = [n for (image, n, kind) in tags if image == key[0] and kind == key[2]]
            assert any(row["name"] in vocabulary.confusable(row["kind"], name) for name in true)


def test_boxes_lie_inside_the_picture(scenes: Scenes) -> None:
    for row in scenes.truth:
        box = [row[side] for side in ("x1", "y1", "x2", "y2")]
        if row["kind"] == "scene":
            assert box == [None] * 4
        else:
            assert 0 <= box[0] < box[2] <= CONFIG.size
            assert 0 <= box[1] < box[3] <= CONFIG.size


@pytest.mark.parametrize("homonyms", [None, 0.2])
def test_nothing_is_covered_too_much_and_counts_hold(homonyms: float | None) -> None:
    composer = Composer([5, 0], ("noto", "twemoji"), 160, 0.3, homonyms)
    for number in range(20):
        scene = composer.compose(number, 3 + number % 6)
        assert len(scene.items) == 3 + number % 6
        assert min(scene.visible) >= 0.7
        names = Counter(item.thing.name for item in scene.items)
        ids = {item.thing.id for item in scene.items}
        assert len(names) == len(ids), "homonyms in one scene"


def test_homonyms_and_outliers_are_as_many_as_asked_for(tmp_path: Path, scenes: Scenes) -> None:
    assert not scenes.planted("outlier")
    asked = CONFIG.model_copy(update={"scenes": 40, "homonyms": 0.2, "outliers": 0.25})
    generate(tmp_path, asked)
    odd = Scenes(tmp_path)
    counts = Counter(row["name"] for row in odd.truth if row["kind"] == "object")
    share = (counts["bat"] + counts["mouse"]) / counts.total()
    assert share == pytest.approx(0.2, abs=0.05)  # what people hold comes on top
    planted = odd.planted("outlier")
    shown = [r for r in odd.truth if r["kind"] == "object" and r["split"] == "train"]
    assert len(planted) / len(shown) == pytest.approx(0.25, abs=0.05)
    assert {(r["image"], r["name"]) for r in planted} <= {(r["image"], r["name"]) for r in shown}
    assert {row["split"] for row in planted} == {"train"}
    none = CONFIG.model_copy(update={"scenes": 40, "homonyms": 0.0})
    generate(tmp_path / "none", none)
    assert not {"bat", "mouse"} & {row["name"] for row in Scenes(tmp_path / "none").truth}


def test_an_outlier_is_the_same_thing_upside_down() -> None:
    upright, odd = (
        Composer([5, 0], ("noto",), 160, 0.3, outliers=share).compose(0, 1) for share in (0, 1)
    )
    assert upright.tags() == odd.tags()
    (one,), (other,) = upright.items, odd.items
    assert other.outlier and not one.outlier
    assert one.attributes == other.attributes and one.code == other.code
    assert upright.image is not None and odd.image is not None
    assert upright.image.tobytes() != odd.image.tobytes()


def test_duplicates_are_exact_and_truncated_files_cannot_be_read(scenes: Scenes) -> None:
    images = scenes.path / "train" / "images"
    for row in scenes.planted("duplicate"):
        assert (images / row["image"]).read_bytes() == (images / row["name"]).read_bytes()
    corrupt = {row["image"] for row in scenes.planted("corrupt")}
    copies = {row["image"] for row in scenes.planted("duplicate") if row["name"] in corrupt}
    assert len(corrupt) == pytest.approx(CONFIG.corrupt * 160, abs=3)
    for path in images.iterdir():
        if path.name in corrupt | copies:
            with pytest.raises(OSError), Image.open(path) as image:
                image.load()
        else:
            with Image.open(path) as image:
                image.load()
                assert image.size == (CONFIG.size, CONFIG.size)


def test_every_class_is_drawn_in_enough_styles() -> None:
    vocabulary, places = load_vocabulary(), index()
    assert len(vocabulary.objects) >= 64
    pictures = {t.id: t.emoji for t in vocabulary.objects + vocabulary.people}
    pictures |= {a.name: a.man + a.woman for a in vocabulary.actions}
    for name, codes in pictures.items():
        for code in codes:
            assert sum(code in places[s] for s in SceneConfig().train_styles) >= 2, name
            assert any(code in places[s] for s in SceneConfig().eval_styles), name


def test_the_vocabulary_is_consistent() -> None:
    vocabulary = load_vocabulary()
    for kind in ("object", "scene", "attribute", "action"):
        names = vocabulary.names(kind)
        for name in names:
            near = vocabulary.confusable(kind, name)
            assert near
            assert set(near) <= set(names) - {name}, name
    ids = [thing.id for thing in vocabulary.objects]
    assert len(ids) == len(set(ids))
    things = vocabulary.objects + vocabulary.people
    rarest = min(thing.tickets for thing in things) / sum(thing.tickets for thing in things)
    assert rarest * 400 * 4 >= 8, "four things a scene, 400 scenes"
    homonyms = [n for n, c in Counter(t.name for t in vocabulary.objects).items() if c > 1]
    assert {"bat", "mouse"} <= set(homonyms)
    assert {action.object for action in vocabulary.actions} - {""} <= set(
        vocabulary.names("object")
    )
    colours = {a.name for a in vocabulary.attributes if a.rgb}
    assert {a.name for a in vocabulary.attributes} - colours == set(PATTERNS)


def test_painting_gives_the_colour() -> None:
    for colour in ("red", "green", "blue", "pink", "black", "white"):
        painted = paint(sprite("noto", "1f697"), colour)
        assert colour_shares(painted)[colour] > 0.3, colour


@pytest.mark.parametrize(
    "values",
    [
        {"eval_styles": ("noto",)},
        {"min_objects": 5, "max_objects": 4},
        {"missed": 0.1},
        {"train_styles": ("emojione",)},
    ],
)
def test_configs_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SceneConfig.model_validate(values)


def test_scenes_are_drawn_once_and_other_ones_are_refused(tmp_path: Path) -> None:
    paths = DemoPaths(tmp_path)
    make_scenes(paths, 8, 0, Quiet(), {"size": 64})
    recipe = paths.scenes / "recipe.json"
    said = json.loads(recipe.read_text())
    del said["outliers"], said["homonyms"]  # as an older version wrote it
    recipe.write_text(json.dumps(said))
    before = {path: path.stat().st_mtime_ns for path in paths.scenes.rglob("*")}
    make_scenes(paths, 8, 0, Quiet(), {"size": 64})
    assert {path: path.stat().st_mtime_ns for path in paths.scenes.rglob("*")} == before
    for other in ({"size": 96}, {"size": 64, "outliers": 0.1}):
        with pytest.raises(PlanError, match="other scenes"):
            make_scenes(paths, 8, 0, Quiet(), other)
