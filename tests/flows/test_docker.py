"""The compose file names services, commands and pools that exist; no engine is needed to know."""

from __future__ import annotations

import pytest
import typer.main
import yaml
from prefect.settings import Settings
from sqlalchemy import make_url

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
    assert isinstance(group, typer.main.TyperGroup)
    for name in ("deploy", "deploy-gpu"):
        command, *options = COMPOSE["services"][name]["command"]
        found = group.commands[command]
        flags = {flag for parameter in found.params for flag in parameter.opts}
        assert {word for word in options if word.startswith("--")} <= flags


def test_nothing_listens_beyond_this_machine() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("password", ["p@ss/w%rd:#1", "change-me"])
def test_any_password_reaches_the_database(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in COMPOSE["services"]["prefect"]["environment"].items():
        if "DATABASE" in name:
            monkeypatch.setenv(name, value.replace("${POSTGRES_PASSWORD}", password))
    connection = Settings().server.database.connection_url
    assert connection is not None
    url = make_url(connection.get_secret_value())
    assert (url.username, url.password, url.host, url.database) == (
        "prefect", password, "postgres", "prefect",
    )  # fmt: skip


def test_every_file_that_the_image_copies_exists() -> None:
    for line in (ROOT / "docker" / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
