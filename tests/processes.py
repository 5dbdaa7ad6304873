"""The command line as processes of their own that start at once.

They are forked from a server that has imported everything and run nothing (`tests/preloaded.py`):
importing torch and spaCy takes longer than most commands.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tests.connections import quick

LIMIT = 300  # seconds

_SERVER = get_context("forkserver")
PRELOADED = ["tests.processes", "tests.preloaded"]


@dataclass(frozen=True)
class Done:
    """What a command left: exit code (-9: killed), and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run_command(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Done:
    """Run `tagwright` with arguments in a folder; variables of `environment` are added to ours."""
    with tempfile.TemporaryDirectory() as kept:
        out, err = Path(kept, "out"), Path(kept, "err")
        work = (list(arguments), folder, {**os.environ, **environment}, out, err)
        _SERVER.set_forkserver_preload(PRELOADED)
        process = _SERVER.Process(target=_command, args=work)
        process.start()
        process.join(LIMIT)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"tagwright {' '.join(arguments)}: not done after {LIMIT} s")
        return Done(process.exitcode, out.read_text(), err.read_text())


def _command(
    arguments: list[str], folder: Path, environment: dict[str, str], out: Path, err: Path
) -> None:
    for path, descriptor in ((os.devnull, 0), (out, 1), (err, 2)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["tagwright", *arguments]
    # The server passes over a module that it cannot import, and each command would take seconds.
    assert set(PRELOADED) <= {*sys.modules}, "tests.preloaded cannot be imported"
    import duckdb

    from flows.cli import main

    duckdb.connect = quick

    main()
