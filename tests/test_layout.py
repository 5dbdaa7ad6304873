"""The house is in order: every file has a purpose and a size, and nothing names a machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

MOST_LINES = 400
HEAVY = {"duckdb", "prefect", "spacy", "torch", "transformers"}
FOLDERS = ("work", "farm", "root", "opt", "tmp", "home", "Users")
HOSTS = ("files.python" + "hosted", "pypi." + "org", "registry." + "npm")
"""In parts, so that this file does not hold what it looks for."""
MACHINE = re.compile(
    rf"(?<![\w.])/(?:{'|'.join(FOLDERS)})/\w|" + "|".join(map(re.escape, HOSTS)) + "|/simple" + "/"
)
TEXT = {".cfg", ".html", ".md", ".py", ".sql", ".svg", ".toml", ".txt", ".yaml", ".yml", ""}
IN_CONTAINERS = {".dockerignore", "docker/Dockerfile", "docker/compose.yaml"}
"""They name paths of a container, which are the same on every machine."""


@cache
def tracked() -> tuple[str, ...]:
    """Every file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return tuple(name for name in listed.stdout.splitlines() if (ROOT / name).is_file())


def code() -> list[Path]:
    """All Python files."""
    return [ROOT / name for name in tracked() if name.endswith(".py")]


def test_every_file_opens_with_its_purpose() -> None:
    for path in code():
        module = ast.parse(path.read_text(encoding="utf-8"))
        assert not module.body or ast.get_docstring(module), path  # empty __init__.py say nothing


def test_no_file_is_too_long() -> None:
    long = {
        path.relative_to(ROOT).as_posix()
        for path in code()
        if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES
    }
    assert not long


def test_tracked_text_names_no_machine() -> None:
    for name in tracked():
        path = ROOT / name
        if path.suffix in TEXT and name not in IN_CONTAINERS:
            found = MACHINE.search(path.read_text(encoding="utf-8"))
            assert not found, f"{name}: {found}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_machine_path_is_seen_and_another_is_not(folder: str) -> None:
    assert MACHINE.search(f"see /{folder}/x")
    assert not MACHINE.search(f"see docs/{folder}/x or lake/{folder}")


@pytest.mark.parametrize("host", HOSTS)
def test_a_registry_is_seen(host: str) -> None:
    assert MACHINE.search(f"from https://{host}.example/x")


def test_docker_holds_no_python() -> None:
    assert not list((ROOT / "docker").rglob("*.py"))


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['tagwright', '--help']\n"
        "from flows.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print('heavy:', sorted(set({sorted(HEAVY)}) & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.rstrip().endswith("heavy: []"), done.stdout + done.stderr
