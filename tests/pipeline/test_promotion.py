"""A model is put into service by hand, and that is taken back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Config, load_config
from pipeline.errors import PlanError
from pipeline.promotion import promote, roll_back
from pipeline.runner import Runner
from pipeline.status import status_of
from storage.lake import Lake
from tests.lakes import commit, go_back


def gate(lake: Lake, model: str, publication: str, day: int, fingerprint: str = "f") -> None:
    row: dict[str, Any] = {"model_digest": model, "publication_id": publication}
    row |= {"label_version": "v", "decision": "promoted", "decided_at": datetime(2026, 1, day)}
    commit(lake, {"promotions": [row]}, f"gate-{day}", "gate", fingerprint)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A lake with four taggers, of which aa and then bb were put into service."""
    with Lake.create(tmp_path / "lake") as lake:
        models = [
            {"model_digest": digest, "role": role, "fold": fold, "label_version": "v",
             "snapshot_id": 7 if digest == "cc1" else None}
            for digest, role, fold in (
                ("aa", "baseline", -1), ("bb", "retrained", -1), ("cc1", "fine-tuned", -1),
                ("cc2", "retrained", -1), ("cc3", "first", 0),
            )
        ]  # fmt: skip
        commit(lake, {"models": models[:3]}, "earlier", "retrain")
        commit(lake, {"models": models[3:]}, "newest", "retrain")
        published = {"publication_id": "of cc1", "snapshot_id": 7, "cycle": 1}
        commit(lake, {"publications": [published]}, "publish")
        gate(lake, "aa", "one", 1)
        gate(lake, "bb", "two", 2)
    return tmp_path / "lake"


def served(path: Path) -> tuple[str, str, str]:
    with Lake.open(path, read_only=True) as lake:
        row = status_of(lake)["in_service"]
        works = "SELECT fingerprint FROM current_ledger WHERE stage = 'gate'"
        # What the next run compares, to see that the gate has nothing to do.
        assert lake.query(works).column(0).to_pylist() == ["f"]
    return row["model_digest"], row["publication_id"], row["decision"]


def test_rolling_back_puts_back_model_and_publication_and_undoes_itself(path: Path) -> None:
    assert served(path) == ("bb", "two", "promoted")
    assert roll_back(path)["model_digest"] == "aa"
    assert served(path) == ("aa", "one", "rolled back")
    roll_back(path)
    assert served(path) == ("bb", "two", "rolled back")


def test_a_model_is_promoted_by_digest_or_role(path: Path) -> None:
    promote(path, "cc1")
    assert served(path) == ("cc1", "of cc1", "promoted")
    promote(path, "retrained")  # of the newest training, not the bb of an earlier one
    assert served(path)[0] == "cc2"
    roll_back(path)
    assert served(path) == ("cc1", "of cc1", "rolled back")
    promote(path, "bb")
    assert served(path) == ("bb", "two", "promoted")


def test_a_promotion_outlives_settings_that_are_tried_and_taken_back(path: Path) -> None:
    plain, strict = (load_config(None, [f"gate.min_gain={gain}"]) for gain in (0.0, 0.5))

    def after_a_run(config: Config) -> str:
        runner = Runner(path, config)
        with runner.lake:
            assert runner.pending("gate") == []
            return str(runner.lake.scalar("SELECT model_digest FROM current_promotions"))

    with Lake.open(path) as lake:
        for day, model, config in ((3, "bb", strict), (4, "aa", plain)):
            gate(lake, model, "three", day, Runner(path, config).fingerprint("gate"))
    assert [after_a_run(config) for config in (strict, plain)] == ["bb", "aa"]
    promote(path, "cc1")
    assert [after_a_run(config) for config in (plain, strict, plain)] == ["cc1"] * 3
    after_a_run(strict)
    promote(path, "cc2")  # with the other settings, which are then taken back
    assert [after_a_run(config) for config in (plain, strict)] == ["cc2"] * 2


def test_a_publication_that_was_tried_and_taken_back_is_not_put_back(path: Path) -> None:
    with Lake.open(path) as lake:
        gate(lake, "bb", "tried", 3)
        go_back(lake, "gate-2")
    promote(path, "aa")
    roll_back(path)
    assert served(path) == ("bb", "two", "rolled back")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("cc", "several taggers fit"),
        ("cc3", "no such tagger"),
        ("zz", "no such tagger"),
        ("bb", "in service already"),
    ],
)
def test_a_mistake_changes_nothing(path: Path, model: str, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        promote(path, model)
    assert served(path) == ("bb", "two", "promoted")


def test_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    with Lake.create(tmp_path / "lake") as lake:
        commit(lake, {"models": [{"model_digest": "aa", "role": "baseline", "fold": -1}]}, "b")
    with pytest.raises(PlanError, match="no other model"):
        roll_back(tmp_path / "lake")
    with pytest.raises(PlanError, match="no model in service yet"):
        promote(tmp_path / "lake", "aa")
