"""All detectors answer for an image's own tags; attention finds a planted spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.detectors import (
    DETECTORS,
    Detection,
    Detector,
    DetectorSettings,
    View,
    make_detector,
    weights_digest,
)
from model.errors import ModelError
from model.tagger import Tagger
from model.train import train_tagger
from tests.model.helpers import CHANNELS, SMALL, Halves, queries, scenes

NAMES = ("dog", "cat", "ball", "car")
EMBEDDED = DetectorSettings(None, 0.3, 4)


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    features, targets = scenes(96, 4)
    return train_tagger(features, targets, queries(4), SMALL)


def attention(tagger: Tagger) -> Detector:
    return make_detector("attention", tagger, NAMES, EMBEDDED)


def views(features: Halves, *sizes: tuple[int, int]) -> list[View]:
    def never() -> Image.Image:
        raise AssertionError("attention asks for no pixels")

    return [View(positions, size, never) for positions, size in zip(features, sizes, strict=True)]


def detect(
    detector: Detector, features: Halves, candidates: Sequence[Sequence[int]],
    *sizes: tuple[int, int],
) -> list[list[Detection]]:  # fmt: skip
    return detector.detect(views(features, *sizes), candidates)


def spot(label: int, rows: slice, columns: slice) -> Halves:
    """One image (1, 49, C) on which `label` fills some cells."""
    cells = np.full((7, 7, CHANNELS), 0.5, np.float16)
    cells[rows, columns, label] += 8
    return cells.reshape(1, 49, CHANNELS)


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (both - width * height)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(slice(1, 4), slice(2, 5)), (slice(4, 7), slice(4, 7)), (slice(0, 2), slice(3, 6))],
)
def test_it_finds_a_planted_spot(tagger: Tagger, rows: slice, columns: slice) -> None:
    found = detect(attention(tagger), spot(1, rows, columns), [[1]], (700, 350))
    planted = (columns.start * 100, rows.start * 50, columns.stop * 100, rows.stop * 50)
    assert [d.label for d in found[0]] == [1]
    assert iou(found[0][0].box, planted) > 0.6
    assert 0.5 < found[0][0].score <= 1


def test_two_spots_two_boxes_and_a_box_stays_inside(tagger: Tagger) -> None:
    both = np.maximum(spot(2, slice(0, 2), slice(0, 2)), spot(2, slice(5, 7), slice(5, 7)))
    found = detect(attention(tagger), both, [[2]], (70, 70))[0]
    assert len(found) == 2
    assert all(0 <= d.box[0] < d.box[2] <= 70 and 0 <= d.box[1] < d.box[3] <= 70 for d in found)


def test_only_candidates_are_answered(tagger: Tagger) -> None:
    images = np.concatenate([spot(0, slice(0, 3), slice(0, 3)), spot(1, slice(3, 6), slice(3, 6))])
    found = detect(attention(tagger), images, [[], [1]], (10, 10), (10, 10))
    assert found[0] == []
    assert {d.label for d in found[1]} == {1}


def test_company_does_not_move_a_box(tagger: Tagger) -> None:
    image = spot(1, slice(1, 4), slice(2, 5))
    alone = detect(attention(tagger), image, [[1]], (70, 70))[0]
    among = [d for d in detect(attention(tagger), image, [[0, 1, 3]], (70, 70))[0] if d.label == 1]
    assert [d.box for d in alone] == [d.box for d in among]


def test_no_candidates_many_candidates_and_a_grey_image(tagger: Tagger) -> None:
    grey = np.full((1, 49, CHANNELS), 0.5, np.float16)
    assert detect(attention(tagger), grey, [[]], (1, 1)) == [[]]
    found = detect(attention(tagger), grey, [[0, 1, 2, 3] * 50], (20_000, 1))[0]
    assert len(found) >= 200
    assert all(0 <= d.box[0] < d.box[2] <= 20_000 and np.isfinite(d.score) for d in found)


def test_unknown_name_lists_the_choices(tagger: Tagger) -> None:
    with pytest.raises(ModelError, match=r"dino.*" + sorted(DETECTORS)[0]):
        make_detector("dino", tagger, NAMES, EMBEDDED)


@pytest.mark.parametrize("name", sorted(set(DETECTORS) - {"attention"}))
def test_missing_weights_are_named(name: str, tagger: Tagger, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"needs weights.*ground\.weights"):
        make_detector(name, tagger, NAMES, EMBEDDED)
    with pytest.raises(ModelError, match=r"gone.*ground\.weights"):
        make_detector(name, tagger, NAMES, DetectorSettings(tmp_path / "gone", 0.3, 4))
    with pytest.raises(ModelError, match="there is nothing"):
        weights_digest(tmp_path / "gone")


def test_the_digest_follows_every_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = weights_digest(tmp_path)
    (tmp_path / "b").write_text("2")
    assert weights_digest(tmp_path) != first
    assert weights_digest(tmp_path / "a") is not None
    assert weights_digest(None) is None
