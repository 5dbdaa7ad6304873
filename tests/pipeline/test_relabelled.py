"""What was made under an older label system, after an edit of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from model.checkpoint import CheckpointInfo
from model.image_tagger import LakeTagger
from model.last_blocks import Halves, LastBlocks
from model.tagger import Tagger
from model.text import TextEncoder
from pipeline import tagging
from pipeline.assess import score_benchmark, score_split
from pipeline.baseline import _source
from pipeline.config import Config
from pipeline.dataset import LABELS, Images, Vocabulary, todays_ids, vocabulary_of
from pipeline.errors import PlanError, SourceError
from pipeline.evaluate import of_tags
from pipeline.exporters.coco import _BOXES
from pipeline.publish import Publish
from pipeline.published import DOUBTED, PUBLISHED, targets_of
from pipeline.stage import Batch, Context
from pipeline.status import why_of
from pipeline.taggers import Wanted, of_today, own_names
from storage.lake import Lake
from tests.lakes import commit

TAGS = {0: "sofa", 1: "couch", 2: "cat"}
OF_SOFA = {"image_id": "a", "label_version": "old", "tag_id": 0}


def system(version: str, forms: dict[str, int]) -> dict[str, list[dict[str, Any]]]:
    """The rows of a label system in which some surface forms are some tags."""
    return {
        "labels": [
            {"label_version": version, "tag_id": tag, "name": TAGS[tag], "kind": "object"}
            for tag in sorted(set(forms.values()))
        ],
        "label_surfaces": [
            {"label_version": version, "surface": surface, "kind": "object", "tag_id": tag}
            for surface, tag in forms.items()
        ],
    }


def judged_lake(folder: Path, said: list[str], forms: dict[str, int], verdict: str) -> Lake:
    """One image whose caption says some words, with a region of tag 0 and a verdict on it."""
    lake = Lake.create(folder / "lake")
    image = {"image_id": "a", "name": "a.jpg", "split": "train", "fold_key": 0}
    commit(lake, {"images": [image]}, "ingest")
    words = [
        {
            "image_id": "a",
            "caption_id": "c",
            "source": "original",
            "kind": "object",
            "surface": word,
        }
        for word in said
    ]
    commit(lake, {"mentions": words}, "parse")
    commit(lake, system("old", forms), "first", "label")
    box = OF_SOFA | {"region_id": "r", "x1": 0.0, "y1": 0.0, "x2": 5.0, "y2": 4.0, "score": 0.5}
    commit(lake, {"regions": [box]}, "ground")
    told = OF_SOFA | {"rule": "agreement", "verdict": verdict, "score": 0.25, "reason": "told"}
    commit(lake, {"verdicts": [told]}, "clean")
    return lake


@pytest.mark.parametrize("verdict", ["keep", "drop"])
def test_regions_and_verdicts_follow_a_merge(tmp_path: Path, verdict: str) -> None:
    with judged_lake(tmp_path, ["sofa"], {"sofa": 0, "couch": 1}, verdict) as lake:
        before = lake.query(Publish.inputs["totals"]).to_pylist()[0]
        commit(lake, system("new", {"sofa": 1, "couch": 1}), "merged", "label")
        after = lake.query(Publish.inputs["totals"]).to_pylist()[0]
        dropped = int(verdict == "drop")
        for totals in (before, after):
            assert (totals["candidates"], totals["dropped"]) == (1, dropped)
            assert totals["tags"] == 1 - dropped
        ((why,),) = [why_of(lake, "a.jpg", "couch")["tags"]]
        assert [region["x2"] for region in why["regions"]] == [5.0]
        assert [row["reason"] for row in why["verdicts"]] == ["told"]
        boxes = lake.query(_BOXES).to_pylist()
    assert [(box["tag_id"], box["x2"]) for box in boxes] == [(1, 5.0)] * (1 - dropped)


@pytest.mark.parametrize("verdict", ["keep", "drop"])
def test_a_merged_tag_stays_where_one_of_its_names_was_kept(tmp_path: Path, verdict: str) -> None:
    said = {"sofa": 0, "couch": 1}
    with judged_lake(tmp_path, [*said], said, "drop") as lake:
        other = OF_SOFA | {"tag_id": 1, "rule": "agreement", "verdict": verdict, "score": 0.0625}
        far = other | {"rule": "outlier", "verdict": "keep", "score": 0.5}
        commit(lake, {"verdicts": [other, far]}, "clean couch")
        publication = {
            "publication_id": "p", "cycle": 1, "snapshot_id": lake.snapshot_id,
            "label_version": "old",
        }  # fmt: skip
        commit(lake, {"publications": [publication]}, "publish")
        commit(lake, system("new", {"sofa": 1, "couch": 1}), "merged", "label")
        (totals,) = lake.query(Publish.inputs["totals"]).to_pylist()
        kept = int(verdict == "keep")
        assert [totals[name] for name in ("candidates", "tags", "dropped")] == [1, kept, 1 - kept]
        # As likely right as the name that was kept, in today's publication and in that of before.
        assert lake.query(PUBLISHED).column("weight").to_pylist() == [0.9375] * kept
        (stratum,) = lake.query("SELECT stratum FROM tag_strata").column(0).to_pylist()
        assert stratum == ("kept-sure" if kept else "dropped")
        context = Context(lake.path, Config(), 2, lake.query, lake.batches)
        tags, doubted, _ = _source(Batch(("corpus",), {}), context)
        vocabulary = vocabulary_of(lake.query(LABELS))
    images = Images(["a"], np.zeros(1, np.int64), np.zeros((1, 1, 1), np.float16))
    target, known = targets_of(images, vocabulary, tags, doubted, doubted.slice(0, 0))
    assert (target.tolist(), known.tolist()) == ([[kept]], [[0.9375 * kept]])


@pytest.mark.parametrize(
    ("old", "new", "target", "known"),
    [
        # Merged: what was published of the one is true of the other.
        ({"sofa": 0, "couch": 1}, {"sofa": 1, "couch": 1}, {"couch": 0.75}, {"couch": 0.75}),
        # Split: nobody knows which of the two was meant.
        ({"sofa": 0, "couch": 0, "cat": 2}, {"sofa": 0, "couch": 1, "cat": 2},
         {"sofa": 0, "couch": 0, "cat": 0}, {"sofa": 0, "couch": 0, "cat": 1}),
        ({"sofa": 0, "cat": 2}, {"sofa": 0, "cat": 2}, {"sofa": 0.75, "cat": 0},
         {"sofa": 0.75, "cat": 1}),
    ],
)  # fmt: skip
def test_the_next_cycle_learns_what_was_published_in_todays_tags(
    tmp_path: Path, old: dict[str, int], new: dict[str, int], target: dict[str, float],
    known: dict[str, float],
) -> None:  # fmt: skip
    with judged_lake(tmp_path, ["sofa"], old, "keep") as lake:
        publication = {
            "publication_id": "p", "cycle": 1, "snapshot_id": lake.snapshot_id,
            "label_version": "old", "published_at": datetime(2026, 1, 1),
        }  # fmt: skip
        commit(lake, {"publications": [publication]}, "publish")
        commit(lake, system("new", new), "edited", "label")
        context = Context(lake.path, Config(), 2, lake.query, lake.batches)
        tags, doubted, found = _source(Batch(("corpus",), {}), context)
        vocabulary = vocabulary_of(lake.query(LABELS))
    assert found == "p"
    images = Images(["a"], np.zeros(1, np.int64), np.zeros((1, 1, 1), np.float16))
    truth, counts = targets_of(images, vocabulary, tags, doubted, doubted.slice(0, 0))
    weighed = truth * counts
    assert dict(zip(vocabulary.names, weighed[0].tolist(), strict=True)) == target
    assert dict(zip(vocabulary.names, counts[0].tolist(), strict=True)) == known


def test_scores_follow_a_merge(tmp_path: Path) -> None:
    with judged_lake(tmp_path, ["cat"], {"sofa": 0, "couch": 1, "cat": 2}, "keep") as lake:
        of_sofa = OF_SOFA | {"fold": 0, "score": 0.6}
        commit(lake, {"tag_scores": [of_sofa]}, "generate")
        limit = {"label_version": "old", "fold": 0, "tag_id": 0, "generate": 0.9, "doubt": 0.5}
        commit(lake, {"thresholds": [limit]}, "calibrate")
        assert lake.query(DOUBTED).to_pylist() == [{"image_id": "a", "tag_id": 0}]
        commit(lake, system("new", {"sofa": 1, "couch": 1, "cat": 0}), "edited", "label")
        assert lake.query(DOUBTED).to_pylist() == [{"image_id": "a", "tag_id": 1}]
        trained = Vocabulary("old", (0, 1, 2), ("",) * 3, ("object",) * 3)
        meant = todays_ids(trained, lake.query)
    assert meant == [1, 1, 0]
    scores = np.array([[0.1, 0.4, 0.3], [0.9, 0.2, 0.6]], np.float32)
    asked = Vocabulary("new", (1, 0, 7), ("couch", "cat", "new"), ("object",) * 3)
    found = of_tags(scores, meant, asked)
    np.testing.assert_array_equal(found, np.array([[0.4, 0.3, 0], [0.9, 0.6, 0]], np.float32))


def test_names_are_those_of_the_lake_however_they_are_written(tmp_path: Path) -> None:
    judged_lake(tmp_path, ["sofa"], {"sofa": 1, "couch": 1}, "keep").close()
    assert own_names(tmp_path / "lake", ["Sofa", " couch", "Zebra"]) == ["couch", "couch", "Zebra"]


class Grey:
    """An encoder that sees the same in all pictures."""

    name = digest = "grey"

    def encode(self, pictures: Sequence[Image.Image]) -> Halves:
        return np.full((len(pictures), 4, 3), 0.5, np.float16)

    def last_blocks(self) -> LastBlocks:
        return LastBlocks(())


def trained_on(*tag_ids: int) -> LakeTagger:
    """A tagger that learned some of TAGS under the label system `old`."""
    names = tuple(TAGS[tag_id] for tag_id in tag_ids)
    torch.manual_seed(0)
    tagger = Tagger(3, torch.from_numpy(TextEncoder().label_queries(names)), 8, 1, 2, 0.0, 0.0)
    torch.nn.init.normal_(tagger.overview.weight)
    info = CheckpointInfo("baseline", -1, "old", tag_ids, names, ("object",) * len(names), "x", 0)
    columns = tuple((place,) for place in range(len(names)))
    cuts = np.linspace(0.2, 0.4, len(names), dtype=np.float32)
    return LakeTagger(tagger, info, Grey(), names, cuts, columns)


def test_a_tagger_is_asked_by_what_its_tags_are_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learned tag that was merged into one that was not is no open label."""
    lake, tagger = tmp_path / "lake", trained_on(0, 2)
    own = tagger.score([Image.new("RGB", (8, 8))])[0]
    with judged_lake(tmp_path, ["sofa"], {"sofa": 0, "cat": 2}, "keep") as opened:
        commit(opened, system("new", {"sofa": 1, "couch": 1, "cat": 2}), "merged", "label")
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(picture)
    monkeypatch.setattr(tagging, "open_tagger", lambda lake, wanted: tagger)
    rows, _ = tagging.tag_pictures(lake, Wanted(), [str(picture)], ["Sofa", "couch", "zebra"])
    found = {row["tag"]: row for row in rows}
    assert {tag: row["open"] for tag, row in found.items()} == {"couch": False, "zebra": True}
    assert found["couch"]["score"] == pytest.approx(float(own[0]))
    assert of_today(lake, tagger, None).names == ("couch", "cat")
    (tmp_path / "names.txt").write_text("sofa\nzebra\n")
    (tmp_path / "rows.txt").write_text("a.png,sofa\n")
    scored = score_benchmark(
        lake, tagger, tmp_path / "rows.txt", tmp_path / "names.txt", tmp_path, lambda *_: None
    )
    assert scored.scores[0, 0] == own[0] and scored.thresholds is not None
    np.testing.assert_array_equal(scored.thresholds, np.array([0.2, 0.5], np.float32))


def test_tags_that_are_one_by_now_are_given_as_one(tmp_path: Path) -> None:
    lake, tagger = tmp_path / "lake", trained_on(0, 1, 2)
    with judged_lake(tmp_path, ["sofa"], {"sofa": 0, "couch": 1, "cat": 2}, "keep") as opened:
        commit(opened, system("new", {"sofa": 1, "couch": 1}), "merged", "label")
    today = of_today(lake, tagger, None)
    # What is no tag any more is not given, but answers who asks for it.
    assert today.names == ("couch",) and today.columns == ((0, 1),)
    assert today.thresholds is not None and today.thresholds[0] == np.float32(0.2)
    assert of_today(lake, tagger, ["couch", "cat"]).columns == ((0, 1), (2,))
    with pytest.raises(PlanError, match="none of the 1 tags of the model"):
        of_today(lake, trained_on(2), None)


def test_images_are_judged_before_any_encoder_has_seen_them(tmp_path: Path) -> None:
    """By a tagger of other features; but not by captions that nobody has parsed."""
    with judged_lake(tmp_path, ["sofa"], {"sofa": 0, "cat": 2}, "keep") as lake:
        held = [
            {"image_id": name, "name": name, "uri": str(tmp_path / f"{name}.png"), "split": "eval"}
            for name in ("told", "silent")
        ]
        truth = {"image_id": "told", "kind": "object", "name": "cat", "synonyms": []}
        commit(lake, {"images": held, "truth": [truth]}, "ingest again")
    for image in held:
        Image.new("RGB", (8, 8)).save(image["uri"])
    scored = score_split(tmp_path / "lake", Named(("sofa", "cat")), lambda *_: None)
    np.testing.assert_array_equal(scored.truth, np.array([[0, 1]], np.float32))
    # Nor has it features of the lake's own tagger.
    scored = score_split(tmp_path / "lake", trained_on(2), lambda *_: None)
    assert scored.names == ("cat",) and scored.truth.tolist() == [[1.0]]


def test_a_tagger_that_knows_nothing_of_a_lake_is_told(tmp_path: Path) -> None:
    with judged_lake(tmp_path, ["sofa"], {"sofa": 0}, "keep") as lake:
        held = {"image_id": "e", "name": "e.jpg", "uri": str(tmp_path / "e.jpg"), "split": "eval"}
        seen = {"image_id": "e", "encoder": "x", "positions": 1, "channels": 2, "map": bytes(4)}
        truth = {"image_id": "e", "kind": "object", "name": "sofa", "synonyms": []}
        rows: dict[str, list[dict[str, Any]]] = {
            "images": [held | {"fold_key": 0}], "features": [seen], "truth": [truth]
        }  # fmt: skip
        commit(lake, rows, "encode")
    with pytest.raises(PlanError, match="knows none of its 1 tags"):
        score_split(tmp_path / "lake", Named(("zebra",)), lambda *_: None)
    with pytest.raises(SourceError, match=r"none of 1 evaluation images can be read, .*e\.jpg"):
        score_split(tmp_path / "lake", Named(("sofa",)), lambda *_: None)


@dataclass(frozen=True)
class Named:
    """A tagger that says of every name that it may be there."""

    names: tuple[str, ...]
    thresholds: None = None
    open_labels: frozenset[int] = frozenset()

    def asked(self, names: Sequence[str]) -> Named:
        return Named(tuple(names))

    def score(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        return np.full((len(pictures), len(self.names)), 0.5, np.float32)
