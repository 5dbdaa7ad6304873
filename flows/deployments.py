"""Registering, triggering and scheduling the flows with a Prefect server."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import WorkerFilter, WorkerFilterStatus
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments import run_deployment
from prefect.deployments.runner import DeploymentApplyError, RunnerDeployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from flows.clean import clean
from flows.retrain import retrain
from pipeline.config import file_settings, load_config
from pipeline.errors import PipelineError
from storage.lake import Lake

FLOWS: dict[str, Flow[..., Any]] = {"clean": clean, "retrain": retrain}
DEPLOYMENT = "tagwright"
# A page instead of JSON, and JSON of another service, are what a wrong URL gives.
_REFUSED = (
    httpx.HTTPStatusError, PrefectException, DeploymentApplyError, json.JSONDecodeError,
    ValidationError,
)  # fmt: skip


class ServiceError(PipelineError):
    """The Prefect server cannot do what was asked of it."""


def deploy_flows(lake: Path, pool: str) -> list[str]:
    """Register both flows for a lake on a work pool, which is made if missing.

    Raises:
        NotALake: there is no lake to deploy for.
        ServiceError: the server cannot be reached, or refuses.
    """
    path = _absolute(lake)
    with _server() as client:
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        for flow in FLOWS.values():
            # Module entry points only: a path entry point would load a second flow object.
            RunnerDeployment.from_flow(
                flow,
                name=DEPLOYMENT,
                parameters={"lake": path},
                work_pool_name=pool,
                concurrency_limit=1,
                entrypoint_type=EntrypointType.MODULE_PATH,
            ).apply()
    return [f"{name}/{DEPLOYMENT} on pool {pool}" for name in FLOWS]


def trigger_flow(
    flow: str, lake: Path, config: Path | None = None, settings: Sequence[str] = (), *,
    tell: Callable[[str], None], wait: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Start a flow for a lake, and wait for its end if asked to.

    Where no worker would start it, `tell` is told so first.

    What the file `config` says travels with it, since a worker may run elsewhere.

    Raises:
        ConfigError: a setting is wrong.
        ServiceError: an unknown flow, one that is not deployed, no server, one that refuses, or
            (with `wait`) a run that did not complete.
    """
    name, parameters = _known(flow), _parameters(lake, config, settings)
    with _server() as client:
        pool = _deployment(client, name).work_pool_name
        online = WorkerFilter(status=WorkerFilterStatus(any_=["ONLINE"]))
        if not client.read_workers_for_work_pool(pool, online):
            tell(f"no worker is there yet: {name} waits for `prefect worker start --pool {pool}`")
        # Called outside of an event loop it is not a coroutine; its type says both.
        run = cast(
            FlowRun,
            run_deployment(
                f"{name}/{DEPLOYMENT}", parameters=parameters, timeout=None if wait else 0,
                poll_interval=1, as_subflow=False,
            ),
        )  # fmt: skip
    state = run.state.name if run.state else "Scheduled"
    if wait and not (run.state and run.state.is_completed()):
        message = run.state.message if run.state else ""
        raise ServiceError(f"{name} run {run.name}: {state}: {message}")
    return {"name": run.name, "id": str(run.id), "state": state}


def schedule_flow(
    flow: str, lake: Path, cron: str, timezone: str, config: Path | None = None,
    settings: Sequence[str] = (),
) -> str:  # fmt: skip
    """Run a flow for a lake on a schedule; an earlier schedule of the same two is replaced.

    What the file `config` says now travels with it; later changes of the file do not.

    Raises:
        ConfigError: a setting is wrong.
        ServiceError: an unknown flow, one that is not deployed, a bad cron text, no server, or one
            that refuses.
    """
    name, parameters = _known(flow), _parameters(lake, config, settings)
    path = parameters["lake"]
    try:
        schedule = CronSchedule(cron=cron, timezone=timezone)
    except ValueError:
        raise ServiceError(
            f"--cron {cron!r} in {timezone}: not a schedule; "
            'write minute hour day month weekday, such as "0 3 * * *"'
        ) from None
    slug = f"lake-{hashlib.sha256(path.encode()).hexdigest()[:12]}"
    with _server() as client:
        deployment = _deployment(client, name)
        found = client.read_deployment_schedules(deployment.id)
        if known := next((known for known in found if known.slug == slug), None):
            # In one step: deleted first, it would be gone where the server refuses the new one.
            client.update_deployment_schedule(
                deployment.id, known.id, active=True, schedule=schedule, parameters=parameters
            )
        else:
            wanted = DeploymentScheduleCreate(
                schedule=schedule, active=True, slug=slug, parameters=parameters
            )
            client.create_deployment_schedules(deployment.id, [wanted])
    return f"{name} runs at {cron!r} ({timezone}) for {path}"


def _known(flow: str) -> str:
    if flow not in FLOWS:
        raise ServiceError(f"unknown flow {flow!r}; choose from: {', '.join(sorted(FLOWS))}")
    return flow


def _absolute(lake: Path) -> str:
    """The lake's absolute path, since a worker runs elsewhere; it must be a lake."""
    Lake.open(lake, read_only=True).close()
    return str(lake.resolve())


def _parameters(lake: Path, config: Path | None, settings: Sequence[str]) -> dict[str, Any]:
    """What a flow is called with; a mistake in it would show in the worker's log alone."""
    said = [*(file_settings(config) if config else []), *settings]
    load_config(None, said)
    return {"lake": _absolute(lake), "settings": said}


def _deployment(client: SyncPrefectClient, name: str) -> Any:
    try:
        return client.read_deployment_by_name(f"{name}/{DEPLOYMENT}")
    except ObjectNotFound:
        raise ServiceError(f"{name}: not deployed yet; run `tagwright deploy` first") from None


@contextmanager
def _server() -> Iterator[SyncPrefectClient]:
    """A client of the server that PREFECT_API_URL names; what goes wrong is a `ServiceError`."""
    url = os.environ.get("PREFECT_API_URL") or PREFECT_API_URL.value()  # of a profile
    hint = "start one with `prefect server start` and set PREFECT_API_URL=http://127.0.0.1:4200/api"
    if not url:
        # Without an address Prefect would start a server of its own that no worker knows.
        raise ServiceError(f"PREFECT_API_URL is not set; {hint}")
    try:
        with get_client(sync_client=True) as client:
            yield client
    except _REFUSED as error:
        raise ServiceError(
            f"the server at {url} refuses, or is no Prefect API ({' '.join(str(error).split())}); "
            "check that PREFECT_API_URL ends in /api, the login in PREFECT_API_AUTH_STRING or "
            "PREFECT_API_KEY, and the server's log"
        ) from error
    except (httpx.TransportError, RuntimeError) as error:
        raise ServiceError(f"no Prefect server answers at {url} ({error}); {hint}") from error
