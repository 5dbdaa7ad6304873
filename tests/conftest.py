"""Shared by all tests: no telemetry, and one demo cycle that many tests look at."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock

from flows.doors import settle
from tests.connections import quick
from tests.processes import PRELOADED, Done, run_command

settle()  # the same environment as the command line
ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
LONGEST = "test_cycle.py"
Cli = Callable[..., Done]


def run_cli(*arguments: str | Path, **environment: str) -> Done:
    """`tagwright` as a process of its own, in the project's folder."""
    return run_command([str(word) for word in arguments], ROOT, environment)


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of the whole cycle's lake is slow.

    Files with slow tests come first, so that no process is left alone with them at the end: the
    longest, which makes that lake, and those that can do without it meanwhile.
    """
    demo = [item for item in items if "demo" in getattr(item, "fixturenames", ())]
    for item in demo:
        item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    wait = {item.path for item in demo}
    items.sort(key=lambda item: (item.path not in slow, item.path in wait, str(item.path)))
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(scope="session", autouse=True)
def quick_starts() -> Iterator[None]:
    """Lakes open at once, and so do processes, whether a command or a worker is the first of them.

    All are forked from one server, which imports what the first asks for. The demo below and flows
    are processes of their own: there DuckDB is as users have it.
    """
    from pipeline import work  # what collects tests needs none of it

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", quick)
        patch.setattr(work, "IMPORTED", [*work.IMPORTED, *PRELOADED])
        yield


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Runs the command line."""
    return run_cli


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A finished demo of 24 scenes, run as a user runs it; tests must not change it.

    The first test process that wants it makes it, the others wait for it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    out = shared / "demo" / "calm"
    finished = out / "result.json"
    with FileLock(shared / "demo.lock"):
        if not finished.exists():
            done = subprocess.run(
                [sys.executable, "-m", "flows", "demo", "--scenes", "24", "--out", out, "--json",
                 "--workers", "2"],
                capture_output=True, text=True, cwd=ROOT, timeout=300,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            finished.write_text(done.stdout)
    return out


@pytest.fixture
def demo_copy(demo: Path, tmp_path: Path) -> Path:
    """A demo of one's own, to change; its pictures stay where they are."""
    return Path(shutil.copytree(demo, tmp_path / "demo"))


@pytest.fixture(scope="session")
def demo_result(demo: Path) -> dict[str, object]:
    """What the demo printed."""
    result: dict[str, object] = json.loads((demo / "result.json").read_text())
    return result


@pytest.fixture(scope="session")
def flickr() -> Path:
    """Real photos beside the project; skipped where they are absent."""
    folder = SHARED / "flickr8k-1k"
    if not folder.exists():
        pytest.skip("the real photos (flickr8k-1k) are not beside this checkout")
    return folder
