"""`bench kill` tells a demo that fails by itself from one that was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import kill
from pipeline.errors import PlanError

pytestmark = pytest.mark.slow


def test_a_demo_that_fails_by_itself_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.write_text("a file where the folder should be")
    with pytest.raises(PlanError, match="by itself with exit code 1"):
        kill.run(None, (0,), out)
    assert str(out) in capfd.readouterr().err
