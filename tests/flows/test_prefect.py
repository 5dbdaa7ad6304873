"""Flows through a real Prefect server and worker: trigger, schedule, a killed worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State, TaskRun
from prefect.client.schemas.schedules import CronSchedule
from prefect.states import Failed

from flows.retrain import retrain
from flows.tasks import may_go_well, run_stages, run_units
from pipeline.compare import different_tables
from pipeline.config import IngestConfig
from pipeline.demo import DemoPaths, demo_config, fill_lake
from pipeline.errors import PlanError, WorkerKilled
from pipeline.reporting import Quiet
from storage.lake import Lake
from tests.conftest import ROOT, Cli
from tests.flows.conftest import Service, free_port
from tests.lakes import captioned_lake
from tests.pipeline.test_cycle import SETTINGS

pytestmark = pytest.mark.slow
SET = [f"--set={setting}" for setting in SETTINGS]


def filled(demo: Path, out: Path) -> Path:
    """A lake that holds the demo's scenes and nothing else yet."""
    (out / "demo").mkdir()
    (out / "demo" / "scenes").symlink_to(demo / "scenes")
    fill_lake(DemoPaths(out / "demo"), demo_config(24, 0), Quiet())
    return out / "demo" / "lake"


def stages_done(lake: Path) -> set[str]:
    with Lake.open(lake, read_only=True) as opened:
        return set(opened.query("SELECT DISTINCT stage FROM ledger").column(0).to_pylist())


def wait_until(lake: Path, stage: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if stage in stages_done(lake):
            return True
        time.sleep(0.5)  # to look costs time, too
    return False


def differs(one: Path, other: Path) -> list[str]:
    with (
        Lake.open(one, read_only=True) as first,
        Lake.open(other, read_only=True) as second,
    ):
        return different_tables(first, second)


def test_trigger_runs_both_flows_to_the_same_rows(
    demo: Path, tmp_path: Path, service: Service, cli: Cli
) -> None:
    lake = filled(demo, tmp_path)
    deployed = cli("deploy", "--lake", lake, **service.environment)
    assert deployed.returncode == 0, deployed.stderr
    service.start_worker()
    said = tmp_path / "config.yaml"
    said.write_text(demo_config(24, 0).model_dump_json())
    for words in (["clean", "--config", said], ["retrain", *SET]):
        asked = ["--lake", lake, "--wait", "--json"]
        done = cli("trigger", *words, *asked, **service.environment)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["state"] == "Completed"
    assert differs(demo / "lake", lake) == []
    with Lake.open(lake, read_only=True) as opened:
        commands = set(opened.query("SELECT DISTINCT command FROM runs").column(0).to_pylist())
    assert "prefect encode" in commands


def test_a_schedule_due_within_the_minute_starts_a_run(
    demo: Path, tmp_path: Path, service: Service, cli: Cli
) -> None:
    lake = filled(demo, tmp_path)
    assert cli("deploy", "--lake", lake, **service.environment).returncode == 0
    service.start_worker()
    # A sixth field is the second: soon, or where that is over already a minute later.
    cron = f"* * * * * {int(time.time() + 10) % 60}"
    for _ in range(2):  # said twice, it is still one schedule
        done = cli("schedule", "clean", "--cron", cron, "--lake", lake, *SET, **service.environment)
        assert done.returncode == 0, done.stderr
    assert wait_until(lake, "parse", 150), (service.folder / "worker.log").read_text()[-3000:]


def test_a_killed_worker_leaves_a_lake_that_the_next_run_completes(
    demo: Path, tmp_path: Path, service: Service, cli: Cli
) -> None:
    lake = filled(demo, tmp_path)
    assert cli("deploy", "--lake", lake, **service.environment).returncode == 0
    service.start_worker()
    started = cli("trigger", "clean", "--lake", lake, *SET, **service.environment)
    assert started.returncode == 0, started.stderr
    assert wait_until(lake, "encode", 120), (service.folder / "worker.log").read_text()[-3000:]
    service.kill_worker()
    assert "publish" not in stages_done(lake)
    done = cli("run", "--lake", lake, "--workers", "1", *SET)
    assert done.returncode == 0, done.stderr
    assert differs(demo / "lake", lake) == []


PART = """
import sys
from prefect import flow
from flows.tasks import may_go_well, run_stages, run_units

@flow(name="part", persist_result=False)
def part(lake: str, settings: list[str]) -> None:
    run_stages(lake, None, settings, None, "encode")

part(sys.argv[1], sys.argv[2:])
"""


def test_a_flow_tells_what_it_could_not_read(tmp_path: Path, service: Service) -> None:
    lake = captioned_lake(tmp_path, IngestConfig(eval_share=0), 3)
    (tmp_path / "images" / "1.png").unlink()
    done = subprocess.run(
        [sys.executable, "-c", PART, str(lake), "ingest.eval_share=0"],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | service.environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 pictures could not be read, such as 1.png: " in done.stderr


def test_a_flow_that_fails_tells_what_it_could_not_read_and_is_not_tried_again(
    tmp_path: Path, service: Service
) -> None:
    lake = captioned_lake(tmp_path, IngestConfig(eval_share=0), 3)
    for picture in (tmp_path / "images").iterdir():
        picture.unlink()
    everything = PART.replace('"encode"', '"baseline"')
    assert everything != PART
    done = subprocess.run(
        [sys.executable, "-c", everything, str(lake), "ingest.eval_share=0"],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | service.environment,
    )  # fmt: skip
    assert done.returncode == 1
    assert "PlanError: baseline: no tag has" in done.stderr
    assert "3 pictures could not be read" in done.stderr
    assert "retry" not in done.stderr.lower()


@pytest.mark.parametrize(
    ("error", "again"),
    [(PlanError("no"), False), (WorkerKilled("no"), True), (OSError("busy"), True)],
)
def test_only_what_may_go_well_is_tried_again(error: Exception, again: bool) -> None:
    failed: State[object] = Failed(data=error)
    assert may_go_well(run_units, TaskRun(task_key="x", dynamic_key="y"), failed) is again


def test_settings_are_checked_before_the_first_task(tmp_path: Path) -> None:
    lake = captioned_lake(tmp_path, IngestConfig(), 3)
    with pytest.raises(PlanError, match="closest"):
        run_stages(str(lake), None, ["clean.rules=['closest']"], None, "publish")
    assert stages_done(lake) == {"ingest", "read"}


def test_nothing_is_published_where_there_is_nothing_to_retrain_on(tmp_path: Path) -> None:
    lake = captioned_lake(tmp_path, IngestConfig(), 3)
    with pytest.raises(PlanError, match="run `tagwright run` first"):
        retrain.fn(str(lake))
    assert stages_done(lake) == {"ingest", "read"}


def test_another_schedule_takes_the_place_of_the_first_in_one_step(
    tmp_path: Path, service: Service, cli: Cli
) -> None:
    lake = tmp_path / "lake"
    Lake.create(lake).close()
    assert cli("deploy", "--lake", lake, **service.environment).returncode == 0
    said, found = tmp_path / "config.toml", []
    for cron, share in (("0 3 * * *", "0.1"), ("0 4 * * *", "0.2")):
        said.write_text(f"[ingest]\neval_share = {share}\n")
        words = ["--cron", cron, "--lake", lake, "--config", said, "--set", "seed=3"]
        done = cli("schedule", "clean", *words, **service.environment)
        assert done.returncode == 0, done.stderr
        with SyncPrefectClient(service.environment["PREFECT_API_URL"]) as client:
            deployment = client.read_deployment_by_name("clean/tagwright")
            (schedule,) = client.read_deployment_schedules(deployment.id)
        assert isinstance(schedule.schedule, CronSchedule)
        assert schedule.schedule.cron == cron
        assert schedule.parameters["settings"] == [f"ingest.eval_share={share}", "seed=3"]
        found.append(schedule.id)
    assert found[0] == found[1]


def test_without_a_worker_a_trigger_says_what_it_waits_for(
    tmp_path: Path, service: Service, cli: Cli
) -> None:
    lake = tmp_path / "lake"
    Lake.create(lake).close()
    deployed = cli("deploy", "--lake", lake, "--pool", "idle", **service.environment)
    assert deployed.returncode == 0, deployed.stderr
    done = cli("trigger", "clean", "--lake", lake, "--json", **service.environment)
    assert done.returncode == 0
    assert json.loads(done.stdout)["state"] == "Scheduled"
    assert "clean waits for `prefect worker start --pool idle`" in done.stderr


def test_mistakes_are_one_clear_line(demo: Path, service: Service, cli: Cli) -> None:
    lake = ["--lake", demo / "lake"]
    nobody = {"PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"}
    cases = [
        (("trigger", "cleen"), service.environment, "choose from: clean, retrain"),
        (("schedule", "clean", "--cron", "often"), service.environment, "often"),
        (("deploy",), nobody, "prefect server start"),
        (("deploy",), {"PREFECT_API_URL": ""}, "PREFECT_API_URL is not set"),
    ]
    for words, environment, says in cases:
        done = cli(*words, *lake, **environment)
        assert done.returncode == 1, words
        assert says in done.stderr and done.stderr.count("\n") == 1, done.stderr
