"""Pictures that are away for a while are told of, and looked at once they are back."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from pipeline.config import load_config
from pipeline.ingest import ingest
from pipeline.readers import Record
from pipeline.returned import told_missed
from pipeline.runner import Runner
from storage.lake import Lake
from storage.sql import run_sql
from tests.conftest import Cli
from tests.lakes import captioned_lake

SETTINGS = ("ingest.eval_share=0", "ingest.shard_size=3")
CONFIG = load_config(None, SETTINGS)
IMAGES = 6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return captioned_lake(tmp_path, CONFIG.ingest, IMAGES)


def encoded(path: Path) -> dict[str, int]:
    """Units done by each stage, in a run as far as `encode`."""
    return {row.stage: row.ran for row in Runner(path, CONFIG).run(until="encode")}


def has(path: Path) -> tuple[int, int]:
    """Images with features, and those that are told as missed; nothing may be lost."""
    with Lake.open(path, read_only=True) as lake:
        assert not lake.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0")
        count = lake.scalar("SELECT count(DISTINCT image_id) FROM current_features")
        assert count == lake.scalar("SELECT count(*) FROM current_features")
        missed = told_missed(lake)
        return count, int(missed.split()[0]) if missed else 0


def test_pictures_that_are_back_are_encoded(path: Path) -> None:
    images, away = path.parent / "images", path.parent / "away"
    images.rename(away)
    assert encoded(path)["encode"] == 2
    assert has(path) == (0, IMAGES)
    assert not any(encoded(path).values())  # still away: nothing to do
    images.mkdir()
    (away / "2.png").rename(images / "2.png")
    assert encoded(path) == {"parse": 1, "label": 0, "encode": 1}
    assert has(path) == (1, IMAGES - 1)
    for picture in away.iterdir():
        picture.rename(images / picture.name)
    assert encoded(path)["encode"] == 2
    assert has(path) == (IMAGES, 0)
    assert not any(encoded(path).values())
    with Lake.open(path, read_only=True) as lake:
        assert lake.scalar("SELECT count(*) FROM current_images") == IMAGES
        assert lake.scalar("SELECT count(*) FROM current_captions") == IMAGES


def test_those_that_vanish_again_are_looked_at_again(path: Path) -> None:
    images, away = path.parent / "images", path.parent / "away"
    other = load_config(None, [*SETTINGS, "encode.threads=2"])
    for config in (CONFIG, other):  # another config encodes anew
        images.rename(away)
        Runner(path, config).run(until="encode")
        assert has(path) == (0, IMAGES)
        away.rename(images)
        Runner(path, config).run(until="encode")
        assert has(path) == (IMAGES, 0)


def test_embedded_pictures_move_with_their_lake(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 40), (200, 10, 10)).save(buffer, "PNG")
    Lake.create(tmp_path / "lake").close()
    with Lake.open(tmp_path / "lake") as lake:
        ingest(lake, [Record("red", buffer.getvalue(), ("a red wall",))], CONFIG.ingest)
    moved = tmp_path / "new place" / "lake's"
    moved.parent.mkdir()
    (tmp_path / "lake").rename(moved)
    assert encoded(moved)["encode"] == 1
    assert has(moved) == (1, 0)
    with Lake.open(moved, read_only=True) as lake:
        (batch,) = lake.batches("SELECT uri FROM current_images")
        for uri in (batch.column(0)[0].as_py(), lake.scalar("SELECT uri FROM current_images")):
            assert Path(uri).read_bytes() == buffer.getvalue()
    (shown,) = run_sql(moved, "SELECT uri FROM current_images").column(0).to_pylist()
    assert shown == uri


def test_a_picture_that_changed_stays_missed(path: Path) -> None:
    changed = path.parent / "images" / "3.png"
    Image.new("RGB", (9, 9)).save(changed)
    assert encoded(path)["encode"] == 2
    assert has(path) == (IMAGES - 1, 1)
    assert not any(encoded(path).values())


def test_a_run_tells_what_it_missed(path: Path, cli: Cli) -> None:
    gone = path.parent / "images" / "4.png"
    kept = gone.read_bytes()
    gone.unlink()
    done = cli("run", "--lake", path, "--until", "encode")
    assert done.returncode == 0
    assert "1 pictures could not be read, such as 4.png: " in done.stderr
    gone.write_bytes(kept)
    done = cli("run", "--lake", path, "--until", "encode")
    assert done.returncode == 0
    assert "could not be read" not in done.stderr
