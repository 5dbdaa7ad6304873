"""The docs are true: what they name exists, and what exists is told."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import typer.main

from flows.cli import app
from pipeline.exporters import EXPORTERS
from pipeline.plan import CYCLE
from pipeline.readers import READERS
from pipeline.rules import RULES
from storage.schemas import TABLES
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
LAKE = (ROOT / "docs" / "lake.md").read_text()
DOCS = README + "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_told(command: str) -> None:
    assert f"tagwright {command}" in DOCS or f"make {command}" in README


def test_every_command_line_in_the_docs_exists() -> None:
    for words in re.findall(r"^(?:\$ )?tagwright ([^\n#`]+)", DOCS, re.MULTILINE):
        command, *rest = words.split()
        flags = {flag for parameter in COMMANDS[command].params for flag in parameter.opts}
        asked = re.findall(r"(?<!\S)--[a-z-]+", " ".join(rest))
        assert set(asked) <= flags, words


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_and_column_is_told(table: str) -> None:
    part = LAKE.split(f"### {table}\n", 1)[1].split("\n#", 1)[0]
    for column in TABLES[table].schema.names:
        assert re.search(rf"^\| \*?{column}\*? \|", part, re.MULTILINE), column


def test_every_stage_rule_and_format_is_told() -> None:
    for name in (*CYCLE, *RULES, *READERS, *EXPORTERS):
        assert re.search(rf"\b{re.escape(name)}\b", DOCS), name


def test_views_are_told() -> None:
    sql = (ROOT / "storage" / "views.sql").read_text()
    for view in re.findall(r"CREATE VIEW (\w+)", sql):
        assert f"| {view} |" in LAKE


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_files_in_the_readmes_tree_exist() -> None:
    tree = README.split("## Where things are", 1)[1].split("```")[1]
    have = {path.name for path in ROOT.rglob("*.py") if ".venv" not in path.parts}
    assert set(re.findall(r"\b(\w+\.py)\b", tree)) <= have


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['tagwright', '--help']\n"
        "from flows.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'duckdb', 'spacy', 'prefect', 'transformers', 'sklearn'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "heavy: []" in done.stdout, done.stdout + done.stderr


def test_tracked_text_names_no_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT)
    if listed.returncode:
        pytest.skip("not a git checkout")
    forbidden = re.compile("/" + "(?:work|farm|root|opt)/|python" + "hosted|registry[.]npm")
    for name in listed.stdout.split("\n"):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".sql"} and path.is_file():
            found = forbidden.search(path.read_text(encoding="utf-8"))
            assert not found, f"{name}: {found}"


def test_every_module_opens_with_its_purpose() -> None:
    for folder in ("bench", "flows", "model", "parsing", "pipeline", "storage"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            assert not text or text.startswith('"""'), path
