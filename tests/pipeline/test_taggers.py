"""Which tagger is wanted: what would change nothing is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PlanError
from pipeline.taggers import Wanted, lake_tagger
from storage.lake import Lake

FILE = Path("names.txt")


@pytest.mark.parametrize("model", [None, "baseline", "clip:x", "blip:x"])
@pytest.mark.parametrize("option", ["names", "thresholds", "clip"])
def test_files_that_the_model_does_not_read_are_refused(model: str | None, option: str) -> None:
    given: dict[str, Any] = {option: FILE}
    with pytest.raises(PlanError, match=f"^--{option}: .*ram:PATH"):
        Wanted(model, **given)
    assert Wanted("ram:x", **given).model == "ram:x"


@pytest.mark.parametrize("model", ["", " "])
def test_an_empty_name_is_not_the_model_in_service(model: str) -> None:
    with pytest.raises(PlanError, match="names none"):
        Wanted(model)


def test_no_model_says_which_command_lists_them(tmp_path: Path) -> None:
    Lake.create(tmp_path / "lake").close()
    with pytest.raises(PlanError, match="`tagwright models list` lists them"):
        lake_tagger(tmp_path / "lake", None)
