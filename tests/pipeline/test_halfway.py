"""What an interrupted run has half cleaned is told, and not published by `retrain`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import Config
from pipeline.demo import demo_config
from pipeline.errors import PlanError
from pipeline.halfway import half_done
from pipeline.ingest import ingest
from pipeline.plan import CYCLE
from pipeline.readers import Record
from pipeline.runner import Runner, stage_names
from storage.lake import Lake
from tests.conftest import Cli
from tests.lakes import commit

RETRAIN = stage_names("publish")


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    Lake.create(tmp_path / "lake").close()
    with Lake.open(tmp_path / "lake") as opened:
        yield opened


def did(lake: Lake, stage: str, unit: str, digest: str = "d", fingerprint: str = "f") -> None:
    row = {
        "work_id": f"{stage} {unit} {digest} {fingerprint}", "stage": stage, "unit": unit,
        "unit_digest": digest, "fingerprint": fingerprint, "n_in": 1, "n_kept": 1,
        "n_dropped": 0, "n_rejected": 0, "run_id": "r", "seconds": 0.1,
    }  # fmt: skip
    lake.commit({}, [row], stage)


def left(lake: Lake) -> str | None:
    return half_done(Runner(lake.path, Config()))


LATER = ("encode", "generate", "parse-generated", "ground")


def test_the_first_stage_with_something_left_is_told(lake: Lake) -> None:
    assert left(lake) is None
    for unit in ("one", "two"):
        did(lake, "parse", unit)
    for stage in LATER:
        assert left(lake) == f"`{stage}` of 2 of 2 shards"
        did(lake, stage, "one")
        assert left(lake) == f"`{stage}` of 1 of 2 shards"
        did(lake, stage, "two")
    assert left(lake) is None
    did(lake, "ingest", "three")  # not parsed yet, so without tags
    assert left(lake) is None


def test_a_shard_that_changed_and_other_settings_are_followed(lake: Lake) -> None:
    for stage in ("parse", *LATER):
        for unit in ("one", "two"):
            did(lake, stage, unit)
    did(lake, "parse", "two", digest="grown")
    assert left(lake) == "`encode` of 1 of 2 shards"
    for stage in LATER:
        did(lake, stage, "two", digest="grown")
    did(lake, "ground", "one", fingerprint="other settings")
    assert left(lake) == "`ground` of 1 of 2 shards"


def test_tags_whose_regions_are_not_judged_are_told(lake: Lake) -> None:
    labels = [{"label_version": "v", "tag_id": tag} for tag in (1, 2)]
    regions = [{"label_version": "v", "tag_id": tag, "region_id": f"r{tag}"} for tag in (1, 2)]
    commit(lake, {"labels": labels, "regions": regions}, "all")
    one, two = (
        unit.digest for unit in Runner(lake.path, Config()).units(CYCLE["clean"](Config(), 1))
    )
    did(lake, "clean", "1", one)
    did(lake, "clean", "2", "fewer regions of 2")
    assert left(lake) == "`clean` of 1 of 2 tags"
    did(lake, "clean", "2", two)
    assert left(lake) is None
    # A tag that other settings gave regions: gone back from them, it is retired with theirs.
    did(lake, "clean", "3", "none", fingerprint="other settings")
    assert left(lake) is None


def test_retraining_waits_for_a_run_that_was_interrupted(demo_copy: Path) -> None:
    """Photos that were only ingested are nothing to wait for."""
    path, config = demo_copy / "lake", demo_config(24, 0)
    Runner(path, config).check(RETRAIN)
    with Lake.open(path) as lake:
        uri = lake.scalar("SELECT min(uri) FROM current_images WHERE split = 'train'")
        record = Record("again", uri, ("There is a zebra beside it.",))
        assert ingest(lake, [record], config.ingest).new_captions == 1
    Runner(path, config).check(RETRAIN)
    Runner(path, config).run(until="encode")
    with pytest.raises(PlanError, match=r"interrupted.* `generate` of 1 of \d+ shards"):
        Runner(path, config).check(RETRAIN)
    Runner(path, config).run(until="clean")
    Runner(path, config).check(RETRAIN)


def test_it_waits_also_between_stages_and_not_after_edits(demo_copy: Path, cli: Cli) -> None:
    path, config = demo_copy / "lake", demo_config(24, 0)
    looser = config.calibrate.model_copy(update={"tag_precision": 0.9, "lose": 0.2})
    other = config.model_copy(update={"calibrate": looser})
    Runner(path, other).run(until="calibrate")
    for asked in (config, other):  # whatever the settings of the retraining
        with pytest.raises(PlanError, match="left `ground` of 3 shards"):
            Runner(path, asked).check(RETRAIN)
    Runner(path, other).run(until="clean")
    Runner(path, config).check(RETRAIN)
    Runner(path, config).run(until="clean")  # goes back
    Runner(path, other).check(RETRAIN)
    with Lake.open(path, read_only=True) as lake:
        names = lake.query(
            "SELECT name FROM current_labels WHERE kind = 'object' ORDER BY 1 LIMIT 2"
        )
    merged = cli("labels", "merge", *names.column(0).to_pylist(), "--lake", path)
    assert merged.returncode == 0, merged.stderr
    Runner(path, config).check(RETRAIN)
