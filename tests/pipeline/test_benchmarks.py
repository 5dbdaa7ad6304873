"""Published benchmark files and the figures on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.benchmarks import read_benchmark
from pipeline.errors import SourceError


def write(folder: Path, annotations: str, names: str = "dog \ncat\ntennis court\ndog\n") -> Path:
    (folder / "names.txt").write_text(names)
    (folder / "a.txt").write_text(annotations)
    return folder


def test_names_and_numbers_are_read(tmp_path: Path) -> None:
    write(tmp_path, "x/1.jpg,cat,tennis court\n2.jpg,dog\n3.jpg,1 2\n4.jpg,\n5.jpg\n")
    found = read_benchmark(tmp_path / "a.txt", tmp_path / "names.txt", Path("images"))
    assert found.images[0] == Path("images/x/1.jpg") and len(found.images) == 5
    np.testing.assert_array_equal(
        found.truth,
        # a name that is listed twice counts for both; a line without a label has none
        [[0, 1, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
    )


def test_a_byte_order_mark_is_no_part_of_the_first_path(tmp_path: Path) -> None:
    write(tmp_path, "\N{BYTE ORDER MARK}1.jpg,cat\n")
    found = read_benchmark(tmp_path / "a.txt", tmp_path / "names.txt", Path("images"))
    assert found.images == [Path("images/1.jpg")]


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ("1.jpg,dog\n2.jpg,wolf\n", "line 2: label 'wolf'"),
        ("1.jpg,0 9\n", "line 1: label 9, but the list has 4 names"),
        ("\n\n", "holds no image"),
    ],
)
def test_wrong_lines_are_named(annotations: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, annotations)
    with pytest.raises(SourceError, match=message):
        read_benchmark(tmp_path / "a.txt", tmp_path / "names.txt", tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, "")
    with pytest.raises(SourceError, match="gone"):
        read_benchmark(tmp_path / "gone", tmp_path / "names.txt", tmp_path)
