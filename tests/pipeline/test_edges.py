"""Odd pictures and captions through the cycle with every detector: no crash, nothing lost."""

from __future__ import annotations

import csv
import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.detectors import grounding
from parsing.label_files import starter
from pipeline.config import Config, load_config
from pipeline.ingest import ingest
from pipeline.readers import ReaderOptions, open_source
from pipeline.runner import Runner
from storage.lake import Lake
from tests.model.dino import tiny_dino, tiny_package

pytestmark = pytest.mark.slow

SETTINGS = (
    "ingest.eval_share=0", "ingest.shard_size=8", "label.min_mentions=1", "baseline.min_images=2",
    "clean.min_regions=2", "encode.encoder=efficientnet-lite0-384",
    # What taggers have learned is not the subject.
    "baseline.tagger.encoder_epochs=1", "refine.tagger.encoder_epochs=1",
)  # fmt: skip
DINO = ("ground.threshold=0.001", "ground.batch=4")
LARGE = (20_000, 20_000)


def pictures(folder: Path) -> dict[str, list[str]]:
    """Writes them; captions by file name."""
    folder.mkdir()
    rng = np.random.default_rng(0)

    def noise(height: int, width: int) -> Image.Image:
        return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))

    captions = {}
    for number in range(12):
        name = f"plain{number:02}.jpg"
        noise(60 + number, 80).save(folder / name)
        captions[name] = [("a dog and a red ball", "a cat on a chair")[number % 2]]
    words = [s.surface for s in starter().surfaces if s.kind == "object" and s.surface.isalpha()]
    many = [f"a {one} and a {other}" for one, other in zip(words[::2], words[1::2], strict=False)]
    odd = {
        "many.png": (noise(50, 50), many[:200]),
        "empty.png": (noise(40, 50), ["of the"]),
        "grey.png": (Image.new("L", (70, 30), 128), ["a dog and a ball"]),
        "pixel.png": (Image.new("RGB", (1, 1), (9, 99, 199)), ["a cat"]),
        "thin.png": (Image.new("RGB", (LARGE[0], 3), (1, 2, 3)), ["a dog"]),
        "large.jpg": (Image.new("L", LARGE, 60), ["a dog and a chair"]),
    }  # fmt: skip
    for name, (picture, said) in odd.items():
        picture.save(folder / name)
        captions[name] = said
    bomb = (folder / "pixel.png").read_bytes()
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + bomb[24:29]
    (folder / "bomb.png").write_bytes(
        bomb[:12] + header + struct.pack(">I", zlib.crc32(header)) + bomb[33:]
    )
    captions["bomb.png"] = ["a dog"]
    return captions


def config(*settings: str) -> Config:
    return load_config(None, [*SETTINGS, *settings])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of odd pictures, published once with the embedded detector."""
    root = tmp_path_factory.mktemp("edges")
    captions = pictures(root / "images")
    with (root / "captions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption"])
        rows.writerows((name, text) for name, said in captions.items() for text in said)
    Lake.create(root / "lake").close()
    with Lake.open(root / "lake") as lake:
        source = open_source(root / "captions.csv", "csv", ReaderOptions(images=root / "images"))
        ingest(lake, source, config().ingest)
    Runner(root / "lake", config()).run(until="publish")
    return root / "lake"


def assert_nothing_is_lost(lake: Lake) -> None:
    balance = lake.query("SELECT stage, shard_id, balance FROM shard_balance WHERE balance <> 0")
    assert balance.to_pylist() == []
    assert lake.scalar("SELECT count(*) FROM current_images") == 18
    silent = lake.query(
        "SELECT name FROM candidate_tags c ANTI JOIN current_verdicts v USING (image_id, tag_id)"
    )
    assert silent.num_rows == 0
    outside = lake.query(
        "SELECT r.* FROM current_regions r JOIN current_images i USING (image_id) WHERE "
        "isnan(x1 + y1 + x2 + y2) OR x1 < 0 OR y1 < 0 OR x2 < x1 OR y2 < y1 "
        "OR x2 > i.width + 0.01 OR y2 > i.height + 0.01"
    )
    assert outside.num_rows == 0
    unfinished = "SELECT count(*) FROM current_region_features WHERE feature IS NULL"
    assert lake.scalar(unfinished) == 0


def test_the_embedded_detector(path: Path) -> None:
    with Lake.open(path, read_only=True) as lake:
        assert_nothing_is_lost(lake)
        # Of 200 tags that one image has none is learned, and of these it says so.
        why = lake.query("SELECT tag_id, reason FROM current_verdicts WHERE rule = 'ungrounded'")
        told = {row["tag_id"] for row in why.to_pylist() if "not learned" in row["reason"]}
        learned = lake.query("SELECT DISTINCT tag_id FROM current_tag_scores").column(0)
        assert len(told) > 100 and not told & set(learned.to_pylist())
        sql = "SELECT reason, detail FROM current_rejects WHERE item = 'bomb.png'"
        (bomb,) = lake.query(sql).to_pylist()
        assert bomb["reason"] == "unreadable-image"
        assert "60000" in bomb["detail"] or "3600000000" in bomb["detail"]
        sizes = {
            row["name"]: (row["width"], row["height"], row["tags"])
            for row in lake.query(
                "SELECT i.name, width, height, count(c.tag_id) FILTER (c.in_caption) AS tags "
                "FROM current_images i LEFT JOIN candidate_tags c USING (image_id) GROUP BY ALL"
            ).to_pylist()
        }
    assert sizes["large.jpg"][:2] == LARGE
    assert sizes["thin.png"][:2] == (LARGE[0], 3)
    assert sizes["many.png"][2] >= 200
    assert sizes["empty.png"][2] == 0
    assert sizes["pixel.png"] == (1, 1, 1)


def test_features_of_crops(path: Path) -> None:
    with Lake.open(path, read_only=True) as lake:
        pooled = lake.query("SELECT count(*) FROM current_regions").column(0).to_pylist()
    Runner(path, config("ground.features=crops")).run(first="ground", until="publish")
    with Lake.open(path, read_only=True) as lake:
        assert_nothing_is_lost(lake)
        assert lake.query("SELECT count(*) FROM current_regions").column(0).to_pylist() == pooled
        lengths = lake.query("SELECT DISTINCT octet_length(feature) FROM current_region_features")
        assert lengths.column(0).to_pylist() == [2 * 1280]


@pytest.mark.parametrize("detector", ["grounding-dino", "groundingdino"])
def test_detectors_that_read_pictures(
    detector: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if detector == "grounding-dino":
        weights = tiny_dino(tmp_path)
    else:
        weights = tiny_package(tmp_path / "tiny.pth")
        # A .pth does not tell sides; pictures of the published 800 pixels would cost minutes.
        small = partial(grounding.GroundingDetector, sides=(160, 320))
        monkeypatch.setattr(grounding, "GroundingDetector", small)
    asked = (f"ground.detector={detector}", f"ground.weights={weights}")
    Runner(path, config(*asked, *DINO)).run(first="ground", until="publish")
    with Lake.open(path, read_only=True) as lake:
        assert_nothing_is_lost(lake)
        # Every candidate is asked for and, at that threshold, found: also what is not learned.
        assert lake.scalar("SELECT count(*) FROM current_verdicts WHERE rule = 'ungrounded'") == 0
        unlearned = lake.query(
            "SELECT DISTINCT image_id, tag_id FROM current_regions WHERE tag_score IS NULL"
        )
        assert unlearned.num_rows > 100
        left = lake.query(
            "SELECT DISTINCT image_id, tag_id, verdict, reason FROM current_verdicts "
            "WHERE contains(reason, 'has not learned')"
        )
        assert left.num_rows == unlearned.num_rows
        assert set(left.column("verdict").to_pylist()) == {"keep"}
    Runner(path, config(*asked, "ground.threshold=0.999")).run(first="ground", until="publish")
    with Lake.open(path, read_only=True) as lake:
        assert_nothing_is_lost(lake)
        # Random weights are sure of nearly all; what they are not sure of is kept without a region.
        assert lake.scalar("SELECT min(score) FROM current_regions") >= 0.999
        found = lake.query("SELECT DISTINCT image_id, tag_id FROM current_regions").num_rows
        without = lake.query(
            "SELECT verdict FROM current_verdicts WHERE rule = 'ungrounded'"
        ).to_pylist()
        assert len(without) == lake.scalar("SELECT count(*) FROM candidate_tags") - found
        assert {row["verdict"] for row in without} <= {"keep"}
