"""A real Prefect server and worker on the loopback address, one pair for all tests of a module."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

START = 120  # seconds that a busy machine may take


@dataclass
class Service:
    """The server's environment, and the worker, which tests may kill and start again."""

    environment: dict[str, str]
    folder: Path
    worker: subprocess.Popen[bytes] | None = None

    def start_worker(self) -> None:
        """A worker of type process for the pool `cpu`, in a process group of its own."""
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "prefect", "worker", "start", "--pool", "cpu"],
                env=os.environ | self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_worker(self) -> None:
        """SIGKILL the worker and the flow runs that it started."""
        if self.worker is not None:
            os.killpg(self.worker.pid, signal.SIGKILL)
            self.worker.wait()
            self.worker = None

    def forget_deployments(self) -> None:
        """With their schedules, and the places that runs of killed workers still take."""
        from prefect.client.orchestration import SyncPrefectClient

        # Asks again where the server's database is busy, which it answers with 503.
        with SyncPrefectClient(self.environment["PREFECT_API_URL"]) as client:
            for deployment in client.read_deployments():
                client.delete_deployment(deployment.id)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running Prefect server."""
    folder = tmp_path_factory.mktemp("prefect")
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": url,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
            env=os.environ | environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    found = Service(environment, folder)
    try:
        wait_for_server(url, folder)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def service(server: Service) -> Iterator[Service]:
    """The server, without a worker, a deployment or a schedule of an earlier test."""
    yield server
    server.kill_worker()
    server.forget_deployments()


def wait_for_server(url: str, folder: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    pytest.fail(f"no server after {START} s: {(folder / 'server.log').read_text()[-2000:]}")
