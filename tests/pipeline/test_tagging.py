"""`tagwright tag`: which of a tagger's names are given to a picture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipeline import tagging
from pipeline.taggers import Wanted


def test_a_tag_is_given_from_its_threshold_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `evaluate` counts it."""
    thresholds = np.array([0.3, 0.7, 0.5], np.float32)
    scores = np.array([[0.3, np.nextafter(np.float32(0.7), np.float32(0)), 0.6]], np.float32)
    tagger = SimpleNamespace(
        names=("cat", "dog", "red"), thresholds=thresholds, open_labels=frozenset(),
        score=lambda pictures: scores,
    )  # fmt: skip
    monkeypatch.setattr(tagging, "open_tagger", lambda lake, wanted: tagger)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    rows, _ = tagging.tag_pictures(tmp_path, Wanted(), [str(tmp_path / "a.png")], None)
    assert [row["tag"] for row in rows] == ["red", "cat"]
