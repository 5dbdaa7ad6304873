"""`tagwright deploy`, `trigger`, `schedule`: what is asked of a Prefect server."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Annotated

import typer

from flows.options import DEFAULT_LAKE, AsJson, ConfigFile, LakeDir, Settings


def deploy(
    lake: LakeDir = DEFAULT_LAKE,
    pool: Annotated[str, typer.Option(help="the Prefect work pool")] = "cpu",
) -> None:
    """Register the flows `clean` and `retrain` with the Prefect server."""
    from flows.deployments import deploy_flows

    for name in deploy_flows(lake, pool):
        print(f"deployed {name}")


def trigger(
    flow: Annotated[str, typer.Argument(help="clean or retrain")],
    lake: LakeDir = DEFAULT_LAKE,
    config: ConfigFile = None,
    set: Settings = None,
    wait: Annotated[bool, typer.Option(help="wait for its end")] = False,
    json_: AsJson = False,
) -> None:
    """Start a flow through the Prefect server."""
    from flows.deployments import trigger_flow

    tell = partial(print, file=sys.stderr)
    started = trigger_flow(flow, lake, config, set or (), wait=wait, tell=tell)
    print(json.dumps(started) if json_ else f"{started['name']}: {started['state']}")


def schedule(
    flow: Annotated[str, typer.Argument(help="clean or retrain")],
    cron: Annotated[str, typer.Option(help='such as "0 3 * * *"')],
    lake: LakeDir = DEFAULT_LAKE,
    config: ConfigFile = None,
    set: Settings = None,
    timezone: Annotated[str, typer.Option(help="of the cron times")] = "UTC",
) -> None:
    """Run a flow on a schedule."""
    from flows.deployments import schedule_flow

    print(schedule_flow(flow, lake, cron, timezone, config, set or ()))
