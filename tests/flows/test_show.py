"""What is printed is what the lake holds."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from rich.console import Console

from flows.cli import _interrupted
from flows.progress import Bars
from flows.show import print_rows, print_table

ODD = "[red]dog[/red] [/b] [a] x"


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_text_is_never_markup(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(pa.table({"[b]name": [ODD]}), format)
    printed = capsys.readouterr().out
    assert ODD in printed
    assert "[b]name" in printed
    print_rows([{"what": ODD}], ("what",), as_json=False)
    assert ODD in capsys.readouterr().out


def test_steps_of_a_training_are_one_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told of a step, such as its loss, makes no new bar."""
    drawn = io.StringIO()
    bars = Bars()
    monkeypatch.setattr(bars, "_console", Console(file=drawn, force_terminal=True, width=90))
    with bars.stage("train", 0):
        for step in range(3):
            bars.progress(step + 1, 9, "steps", f", loss 0.{step}")
        assert bars._progress is not None
        _, steps = bars._progress.tasks
        assert (steps.completed, steps.total, steps.fields["words"]) == (3, 9, "steps, loss 0.2")
    assert "steps, loss 0.2" in drawn.getvalue()


def test_columns_of_one_name_stay_apart(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [pa.array(["dog"]), pa.array(["cat"]), pa.array(["bird"]), pa.array([1])]
    rows = pa.Table.from_arrays(columns, ["name", "name", "name_1", "1"])
    print_table(rows, "csv")
    header, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["name", "name_1", "name_1_1", "1"]
    assert row == ["dog", "cat", "bird", "1"]
    print_table(rows, "json")
    wanted = dict(zip(header, ["dog", "cat", "bird", 1], strict=True))
    assert json.loads(capsys.readouterr().out) == [wanted]
    print_table(rows, "table")
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("dog", "cat", "bird"))


def test_sums_are_numbers_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(pa.table({"sum": [Decimal(128)], "mean": [Decimal("0.5")]}), "json")
    assert json.loads(capsys.readouterr().out) == [{"sum": 128, "mean": 0.5}]


def test_interrupted_is_told_from_other_ends() -> None:
    assert _interrupted(KeyboardInterrupt())
    assert _interrupted(SystemExit(130))
    assert _interrupted(RuntimeError("Query interrupted"))  # DuckDB's
    assert not _interrupted(SystemExit(1))
    assert not _interrupted(RuntimeError("something else"))
