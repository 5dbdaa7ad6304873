"""The whole cycle on 24 scenes: balanced, repeatable, resumable at every point, explainable."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from pipeline.compare import different_tables
from pipeline.demo import DemoPaths, demo_config
from pipeline.errors import WorkerKilled
from pipeline.plan import CYCLE
from pipeline.runner import Runner
from storage.crash import VARIABLE
from storage.lake import Lake
from tests.conftest import Cli


def tables_that_differ(one: Path, other: Path) -> list[str]:
    with (
        Lake.open(one / "lake", read_only=True) as first,
        Lake.open(other / "lake", read_only=True) as second,
    ):
        return different_tables(first, second)


def test_every_stage_did_something_and_lost_nothing(demo: Path) -> None:
    with Lake.open(demo / "lake", read_only=True) as lake:
        balance = lake.query("SELECT * FROM shard_balance").to_pylist()
    assert {row["stage"] for row in balance} == {"read", "ingest", *CYCLE}
    assert all(row["balance"] == 0 for row in balance)


def test_the_demo_prints_every_step_and_writes_the_report(
    demo: Path, demo_result: dict[str, object]
) -> None:
    steps = demo_result["steps"]
    assert isinstance(steps, list)
    assert [row["step"] for row in steps] == [
        "parsed", "+ generated", "+ cleaned", "retrained, fine-tuned",
    ]  # fmt: skip
    assert all(0 < row["recall"] < 1 for row in steps[:3])
    page = (demo / "report.html").read_text()
    assert page.count("<figure>") >= 8
    assert page.count("data:image/jpeg;base64,") == page.count("<figure>")
    assert "http" not in page.replace("http://www.w3.org", "")


def test_both_rules_judge_every_grounded_tag(demo: Path) -> None:
    with Lake.open(demo / "lake", read_only=True) as lake:
        rules = lake.query(
            "SELECT rule, count(*) AS n FROM current_verdicts GROUP BY rule"
        ).to_pylist()
        pairs = lake.scalar("SELECT count(DISTINCT (image_id, tag_id)) FROM current_regions")
        missing = lake.scalar(
            "SELECT count(*) FROM candidate_tags c WHERE split = 'train' AND NOT EXISTS "
            "(SELECT 1 FROM current_verdicts v WHERE v.image_id = c.image_id "
            "AND v.tag_id = c.tag_id)"
        )
    found = {row["rule"]: row["n"] for row in rules}
    assert found["outlier"] == found["agreement"] == pairs
    assert missing == 0


def test_no_model_judges_what_it_was_fitted_on(demo: Path) -> None:
    with Lake.open(demo / "lake", read_only=True) as lake:
        wrong = lake.scalar(
            "SELECT count(*) FROM current_tag_scores s JOIN current_images i USING (image_id) "
            "JOIN current_models m USING (model_digest) "
            "WHERE i.fold_key % 3 <> s.fold OR m.fold <> s.fold OR m.role <> 'fold'"
        )
        evaluated = lake.scalar(
            "SELECT count(*) FROM current_tag_scores JOIN current_images USING (image_id) "
            "WHERE split = 'eval'"
        )
    assert wrong == 0
    assert evaluated == 0


def test_run_again_skips_everything_and_loads_no_model(demo_copy: Path, cli: Cli) -> None:
    with Lake.open(demo_copy / "lake", read_only=True) as lake:
        before = lake.query("SELECT work_id FROM ledger").num_rows
    for model in (demo_copy / "lake" / "models").iterdir():
        shutil.rmtree(model)  # whoever loads one now fails
    settings = [f"--set={s}" for s in SETTINGS]
    done = cli("run", "--lake", demo_copy / "lake", "--json", *settings)
    assert done.returncode == 0, done.stderr
    assert all(row["ran"] == 0 for row in json.loads(done.stdout))
    with Lake.open(demo_copy / "lake", read_only=True) as lake:
        assert lake.query("SELECT work_id FROM ledger").num_rows == before


SETTINGS = (
    "seed=0", "ingest.shard_size=12", "label.min_mentions=2", "baseline.min_images=2",
    "retrain.threads=1", "baseline.tagger.epochs=0", "retrain.tagger.epochs=0",
    "retrain.finetune.epochs=0", "baseline.tagger.encoder_epochs=2",
    "refine.tagger.encoder_epochs=1", "retrain.tagger.encoder_epochs=2",
    "retrain.finetune.encoder_epochs=1",
)  # fmt: skip


def test_the_settings_above_are_those_of_the_demo() -> None:
    from pipeline.config import load_config

    assert load_config(None, SETTINGS) == demo_config(24, 0)


def test_another_encoder_trains_taggers_anew(demo: Path) -> None:
    config = demo_config(24, 0)
    other = config.encode.model_copy(update={"encoder": "efficientnet-lite0-384"})
    changed = Runner(demo / "lake", config.model_copy(update={"encode": other}))
    same = Runner(demo / "lake", config)
    assert not same.pending("baseline") and len(changed.pending("baseline")) == 4


def test_a_changed_clean_section_runs_only_what_reads_verdicts(demo_copy: Path) -> None:
    config = demo_config(24, 0)
    paper = config.model_copy(update={"clean": config.clean.model_copy(update={"cut": "paper"})})
    done = Runner(demo_copy / "lake", paper).run(until="publish")
    assert [row.stage for row in done if row.ran] == ["clean", "publish"]
    back = Runner(demo_copy / "lake", config).run(until="clean")
    assert not [row.stage for row in back if row.ran]
    assert "verdicts" not in tables_that_differ(DemoPaths(demo_copy).root, demo_copy)


POINTS = [
    "ingest:staged", "ingest:committing", "parse:staged", "label:committing", "encode:read",
    "baseline:committed", "refine:committing", "generate:committed", "ground:staged",
    "clean:committing", "publish:committing", "retrain:staged", "gate:committed",
]  # fmt: skip


@pytest.mark.slow
def test_killed_at_every_point_and_run_again_gives_the_same_rows(
    demo: Path, demo_result: dict[str, object], tmp_path: Path, cli: Cli
) -> None:
    """One lake is killed at one point after the other, each time further on.

    One process does the work of the two that made the other lake.
    """
    out = tmp_path / "killed"
    again = ("demo", "--scenes", "24", "--out", out, "--workers", "1", "--json")
    for point in POINTS:
        done = cli(*again, **{VARIABLE: point})
        assert done.returncode == -9, f"{point}: {done.stderr}"
    done = cli(*again)
    assert done.returncode == 0, done.stderr
    assert tables_that_differ(demo, out) == []
    assert json.loads(done.stdout)["steps"] == demo_result["steps"]
    with Lake.open(out / "lake", read_only=True) as lake:
        assert lake.scalar("SELECT count(*) FROM shard_balance WHERE balance <> 0") == 0


def test_a_killed_worker_is_told_and_the_next_run_goes_on(
    demo_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = demo_config(24, 0)
    captioner = config.refine.captioner.model_copy(update={"max_steps": 1})
    refine = config.refine.model_copy(update={"captioner": captioner})
    changed = config.model_copy(update={"refine": refine})
    monkeypatch.setenv(VARIABLE, "refine:staged")
    with pytest.raises(WorkerKilled, match="run again"):
        Runner(demo_copy / "lake", changed, workers=2).run(until="refine")
    monkeypatch.delenv(VARIABLE)
    done = Runner(demo_copy / "lake", changed, workers=2).run(until="refine")
    assert {row.stage: row.ran for row in done if row.ran} == {"refine": 3}


def bold(demo: Path) -> None:
    """Run a demo on so that 24 scenes show added and dropped tags."""
    config = demo_config(24, 0)
    with Lake.open(demo / "lake") as lake:
        # Scores of so few say nothing of captions, so calibration lets none of them give a tag.
        lake.raw.execute(
            "UPDATE thresholds SET generate = (SELECT quantile_cont(score, 0.9) FROM tag_scores)"
        )
    clean = config.clean.model_copy(update={"cut": "paper", "min_regions": 2})
    Runner(demo / "lake", config.model_copy(update={"clean": clean})).run(until="publish")


def test_why_and_report_tell_what_was_added_and_dropped(demo_copy: Path, cli: Cli) -> None:
    bold(demo_copy)
    with Lake.open(demo_copy / "lake", read_only=True) as lake:
        (row,) = lake.query(
            "SELECT i.name AS image, l.name AS tag FROM current_verdicts v "
            "JOIN current_images i USING (image_id) JOIN current_labels l USING (tag_id) "
            "WHERE v.verdict = 'drop' ORDER BY ALL LIMIT 1"
        ).to_pylist()
        assert lake.scalar("SELECT count(*) FROM tags WHERE NOT in_caption AND split = 'train'")
    done = cli("why", row["image"], row["tag"], "--lake", demo_copy / "lake", "--json")
    chain = json.loads(done.stdout)["tags"]
    dropped = [tag for tag in chain if tag["name"] == row["tag"] and tag["state"] == "dropped"]
    assert dropped[0]["evidence"] and dropped[0]["regions"] and dropped[0]["verdicts"]
    page = demo_copy / "page.html"
    assert cli("report", "--lake", demo_copy / "lake", "--out", page).returncode == 0
    assert 'class="chip added"' in page.read_text() and 'class="chip dropped"' in page.read_text()


def test_an_older_result_that_fits_again_is_reused(demo_copy: Path) -> None:
    config = demo_config(24, 0)
    label = config.label.model_copy(update={"min_mentions": 3})
    other = Runner(demo_copy / "lake", config.model_copy(update={"label": label}))
    assert [row.ran for row in other.run(until="label")] == [0, 1]
    assert [row.ran for row in Runner(demo_copy / "lake", config).run(until="encode")] == [0, 0, 0]
    assert tables_that_differ(demo_copy, demo_copy) == []


def test_scores_do_not_depend_on_the_threads_that_a_process_starts_with(
    demo_copy: Path, tmp_path: Path
) -> None:
    """A machine with more cores, or a run that goes on in a new process, gives the same scores."""
    config = demo_config(24, 0)
    fewer = config.generate.model_copy(update={"keep_scores": 20})
    other = Path(shutil.copytree(demo_copy, tmp_path / "other"))
    before = torch.get_num_threads()
    try:
        for root, threads in ((demo_copy, 1), (other, 3)):
            torch.set_num_threads(threads)
            runner = Runner(root / "lake", config.model_copy(update={"generate": fewer}))
            assert runner.run(first="generate", until="generate")[0].ran == 3
    finally:
        torch.set_num_threads(before)
    assert tables_that_differ(demo_copy, other) == []


def test_another_seed_does_not_parse_or_encode_again(demo_copy: Path) -> None:
    runner = Runner(demo_copy / "lake", demo_config(24, 1))
    assert [row.ran for row in runner.run(until="encode")] == [0, 0, 0]
    assert len(runner.pending("baseline")) == 4  # a tagger of all, and what three folds need
