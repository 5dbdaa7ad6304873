"""The compose file names services, commands and pools that exist; no engine is needed to know."""

from __future__ import annotations

import typer.main
import yaml

from flows.cli import app
from tests.conftest import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())


def test_services_depend_on_services_that_exist() -> None:
    services = COMPOSE["services"]
    assert {"postgres", "prefect", "worker", "worker-gpu", "deploy"} <= set(services)
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
    assert services["worker-gpu"]["profiles"] == ["gpu"]


def test_commands_are_those_of_the_command_line() -> None:
    group = typer.main.get_command(app)
    for name in ("deploy", "deploy-gpu"):
        command, *options = COMPOSE["services"][name]["command"]
        found = group.commands[command]  # type: ignore[attr-defined]
        flags = {flag for parameter in found.params for flag in parameter.opts}
        assert {word for word in options if word.startswith("--")} <= flags


def test_nothing_listens_beyond_this_machine() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_file_that_the_image_copies_exists() -> None:
    for line in (ROOT / "docker" / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
