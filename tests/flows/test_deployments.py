"""What a server may answer that is no Prefect server, or one that refuses: one clear line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest

from storage.lake import Lake
from tests.conftest import Cli

pytestmark = pytest.mark.slow
PAGE = b"<html>a page</html>"
DEPLOYMENT = json.dumps({"id": str(uuid4()), "name": "tagwright", "flow_id": str(uuid4())}).encode()


@contextmanager
def serving(reading: tuple[int, bytes], writing: tuple[int, bytes]) -> Iterator[str]:
    """A server with one answer to all GETs and one to all POSTs; its URL."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(404, b"{}") if "csrf" in self.path else self.answer(*reading)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(*writing)

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def told(cli: Cli, lake: Path, url: str, *words: str) -> str:
    done = cli(*words, "--lake", lake, PREFECT_API_URL=url, PREFECT_CLIENT_MAX_RETRIES="0")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "lake"
    Lake.create(path).close()
    return path


@pytest.mark.parametrize("words", ["trigger clean", "schedule clean --cron @daily"])
def test_settings_are_checked_before_the_server_is_asked(words: str, lake: Path, cli: Cli) -> None:
    nowhere, file = "http://127.0.0.1:1/api", lake.parent / "config.toml"
    said = told(cli, lake, nowhere, *words.split(), "--set", "clean.cut=some")
    assert "clean.cut" in said
    file.write_text("[clean]\ncuts = 'paper'\n")
    said = told(cli, lake, nowhere, *words.split(), "--config", str(file))
    assert "config clean.cuts: unknown key; did you mean cut?" in said


@pytest.mark.parametrize(
    ("words", "answer"),
    (
        ("deploy", (401, PAGE)),
        ("deploy", (200, PAGE)),
        ("trigger clean", (200, b"{}")),
        ("schedule clean --cron @daily", (500, b"{}")),
    ),
)
def test_a_server_that_refuses_is_one_line(
    words: str, answer: tuple[int, bytes], lake: Path, cli: Cli
) -> None:
    with serving(answer, answer) as url:
        said = told(cli, lake, url, *words.split())
    assert url in said and "ends in /api" in said


def test_what_is_refused_after_the_deployment_was_found(lake: Path, cli: Cli) -> None:
    with serving((200, DEPLOYMENT), (409, b'{"detail": "no more today"}')) as url:
        said = told(cli, lake, url, "trigger", "clean")
    assert "409" in said and "no more today" in said


def test_a_flow_that_is_not_deployed_is_still_told_as_such(lake: Path, cli: Cli) -> None:
    with serving((404, b"{}"), (404, b"{}")) as url:
        assert "run `tagwright deploy` first" in told(cli, lake, url, "trigger", "clean")
        assert "404" in told(cli, lake, url, "deploy")


def test_the_address_may_come_from_a_profile(
    lake: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / "profiles.toml").write_text(
        'active = "own"\n\n[profiles.own]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    settings = {"PREFECT_HOME": str(tmp_path), "PREFECT_CLIENT_MAX_RETRIES": "0"}
    done = cli("deploy", "--lake", lake, **settings)
    assert done.returncode == 1
    assert "no Prefect server answers at http://127.0.0.1:9/api" in done.stderr
