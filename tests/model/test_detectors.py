"""The attention detector on a planted hot spot, and the registry."""

from __future__ import annotations

import numpy as np
import pytest

from model.detectors import DETECTORS, make_detector
from model.errors import ModelError
from model.tagger import Tagger
from model.train import train_tagger
from tests.model.helpers import CHANNELS, SMALL, Halves, queries, scenes


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    features, targets = scenes(96, 4)
    return train_tagger(features, targets, queries(4), SMALL)


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
    found = make_detector("attention", tagger).detect(spot(1, rows, columns), [[1]], [(700, 350)])
    planted = (columns.start * 100, rows.start * 50, columns.stop * 100, rows.stop * 50)
    assert [d.label for d in found[0]] == [1]
    assert iou(found[0][0].box, planted) > 0.6
    assert 0.5 < found[0][0].score <= 1


def test_two_spots_two_boxes_and_a_box_stays_inside(tagger: Tagger) -> None:
    both = np.maximum(spot(2, slice(0, 2), slice(0, 2)), spot(2, slice(5, 7), slice(5, 7)))
    found = make_detector("attention", tagger).detect(both, [[2]], [(70, 70)])[0]
    assert len(found) == 2
    assert all(0 <= d.box[0] < d.box[2] <= 70 and 0 <= d.box[1] < d.box[3] <= 70 for d in found)


def test_only_candidates_are_answered(tagger: Tagger) -> None:
    images = np.concatenate([spot(0, slice(0, 3), slice(0, 3)), spot(1, slice(3, 6), slice(3, 6))])
    found = make_detector("attention", tagger).detect(images, [[], [1]], [(10, 10), (10, 10)])
    assert found[0] == []
    assert {d.label for d in found[1]} == {1}


def test_company_does_not_move_a_box(tagger: Tagger) -> None:
    image = spot(1, slice(1, 4), slice(2, 5))
    detector = make_detector("attention", tagger)
    alone = detector.detect(image, [[1]], [(70, 70)])[0]
    among = [d for d in detector.detect(image, [[0, 1, 3]], [(70, 70)])[0] if d.label == 1]
    assert [d.box for d in alone] == [d.box for d in among]


def test_unknown_name_lists_the_choices(tagger: Tagger) -> None:
    with pytest.raises(ModelError, match=r"dino.*" + sorted(DETECTORS)[0]):
        make_detector("dino", tagger)
