"""Label queries from the real text encoder: length one, meaning, and refusal of empty names."""

from __future__ import annotations

import numpy as np
import pytest

from model.errors import ModelError
from model.text import TextEncoder


@pytest.fixture(scope="module")
def text() -> TextEncoder:
    return TextEncoder()


def test_queries_mean_something(text: TextEncoder) -> None:
    rows = text.label_queries(["dog", "puppy", "skyscraper"])
    assert rows.shape == (3, TextEncoder.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.1


def test_company_hardly_changes_a_query(text: TextEncoder) -> None:
    among = text.label_queries(["dog", "a very long name of some label or other"])[0]
    np.testing.assert_allclose(among, text.label_queries(["dog"])[0], atol=1e-5)


def test_underscores_are_spaces(text: TextEncoder) -> None:
    rows = text.label_queries(["fire_hydrant", "fire hydrant"])
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)


def test_empty_names_are_refused(text: TextEncoder) -> None:
    with pytest.raises(ModelError, match="empty"):
        text.label_queries(["dog", "  "])
    assert text.label_queries([]).shape == (0, TextEncoder.dim)
