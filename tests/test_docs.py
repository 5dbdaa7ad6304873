"""The docs are true: what they name exists, and what exists is told."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from flows.cli import app
from model.detectors import DETECTORS
from model.encoder import ENCODERS
from parsing.registry import PARSERS
from pipeline.exporters import EXPORTERS
from pipeline.plan import CYCLE
from pipeline.readers import READERS
from pipeline.readers.base import _SPLITS, CAPTION_COLUMNS, IMAGE_COLUMNS
from pipeline.returned import VANISHED
from pipeline.rules import RULES
from storage.lake import Lake
from storage.schemas import TABLES
from storage.sql import run_sql
from tests import settings_page
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
DOCS = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
LAKE = (ROOT / "docs" / "lake.md").read_text(encoding="utf-8")
GROUP = typer.main.get_command(app)
assert isinstance(GROUP, typer.main.TyperGroup)
COMMANDS = GROUP.commands
TREE = README.split("## Where things are", 1)[1].split("```")[1]
QUERIES = re.findall(r'^tagwright sql "(.+)"$', LAKE, re.MULTILINE)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty lake."""
    path = tmp_path_factory.mktemp("docs") / "lake"
    Lake.create(path).close()
    return path


def command_lines(text: str) -> list[list[str]]:
    """The words of every `tagwright` call in fenced blocks and in inline code."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(tagwright [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    calls = [line.strip().removeprefix("$ ") for line in lines]
    return [shlex.split(call, comments=True) for call in calls if call.startswith("tagwright ")]


# ---- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_told(command: str) -> None:
    assert any(words[1] == command for words in command_lines(DOCS)), command


@pytest.mark.parametrize("group", ["certify", "labels"])
def test_every_command_of_a_group_is_told(group: str) -> None:
    of_group = COMMANDS[group]
    assert isinstance(of_group, typer.main.TyperGroup)
    told = {words[2] for words in command_lines(DOCS) if words[1] == group and len(words) > 2}
    assert set(of_group.commands) <= told


@pytest.mark.parametrize("words", command_lines(DOCS), ids=" ".join)
def test_every_command_line_parses(words: list[str]) -> None:
    _, name, *rest = words
    if name == "--help":
        return
    assert name in COMMANDS, name
    command = COMMANDS[name]
    if isinstance(command, typer.main.TyperGroup) and not (
        command.invoke_without_command and (not rest or rest[0].startswith("-"))
    ):
        name, *rest = rest
        assert name in command.commands, name
        command = command.commands[name]
    required = [p for p in command.params if p.required and p.param_type_name == "argument"]
    given = [word for word in rest if not word.startswith("-")]
    if not given and required:  # prose that names the command alone
        rest = ["VALUE"] * len(required) + rest
    values = {"N": "1"}  # placeholders of numbers
    command.make_context(name, [values.get(word, word) for word in rest], resilient_parsing=False)


def test_command_lines_are_found() -> None:
    text = "`tagwright plan`\n```\n$ tagwright run --workers 2  # twice as fast\nmake demo\n```\n"
    assert command_lines(text) == [["tagwright", "run", "--workers", "2"], ["tagwright", "plan"]]


def test_every_setting_is_told_with_its_default() -> None:
    assert settings_page.PAGE.read_text(encoding="utf-8") == settings_page.page(), (
        "run `python -m tests.settings_page`"
    )


# ---- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    sorted({*CYCLE, *RULES, *READERS, *EXPORTERS, *PARSERS, *DETECTORS, *ENCODERS}),
)
def test_every_registered_name_is_told(name: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", DOCS, re.IGNORECASE)


def test_every_format_and_reject_is_told_on_the_page_of_sources() -> None:
    page = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| ([^|]+) \| .+ \|$", page, re.MULTILINE)
    told = {name for cell in cells for name in re.findall(r"[\w-]+", cell)}
    assert {*READERS, *EXPORTERS} <= told
    files = [*(ROOT / "pipeline" / "readers").glob("*.py"), ROOT / "pipeline" / "ingest.py"]
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    reasons = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', code))
    assert "missing-image" in reasons and {*reasons, VANISHED} <= told
    for names in (IMAGE_COLUMNS, CAPTION_COLUMNS):
        assert ", ".join(names) in page
    for split in ("train", "eval"):
        said = [name for name, known in _SPLITS.items() if known == split]
        assert all(re.search(rf"\b{name}\b", page) for name in said)


@pytest.mark.parametrize("registry", ["PARSERS", "ENCODERS", "DETECTORS", "RULES", "READERS"])
def test_where_to_add_names_the_registry(registry: str) -> None:
    (path,) = re.findall(rf"`{registry}` in `([\w/.]+)`", README)
    assert re.search(rf"^{registry}\b", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_and_column_is_told(table: str) -> None:
    part = LAKE.split(f"\n### {table}\n", 1)[1].split("\n#", 1)[0]
    told = re.findall(r"^\| \*?(\w+)\*? \| [^|]+ \| ([^|]+) \|$", part, re.MULTILINE)
    assert [name for name, _ in told if name != "column"] == TABLES[table].schema.names
    italics = re.findall(r"^\| \*(\w+)\* \|", part, re.MULTILINE)
    assert set(italics) == set(TABLES[table].volatile)


def test_every_view_and_its_columns_are_told(lake: Path) -> None:
    with Lake.open(lake, read_only=True) as opened:
        views = opened.query(
            "SELECT table_name AS view, list(column_name) AS columns "
            "FROM information_schema.columns WHERE table_catalog = 'lake' GROUP BY ALL"
        ).to_pylist()
    views = [row for row in views if row["view"] not in TABLES]
    assert {"tags", "current_images"} <= {row["view"] for row in views}
    rows = dict(re.findall(r"^\| (\w+) \| (.+) \|$", LAKE, re.MULTILINE))
    rows["tags"] += rows["candidate_tags"]
    for row in views:
        assert row["view"] in rows, row["view"]
        if not row["view"].startswith("current_"):
            told = set(re.findall(r"\w+", rows[row["view"]]))
            assert set(row["columns"]) <= told, row["view"]


# ---- queries and code ----------------------------------------------------------------------------


def test_there_are_ten_queries() -> None:
    assert len(QUERIES) == 10


def test_every_query_runs(lake: Path) -> None:
    asked = [*QUERIES, *re.findall(r'^tagwright sql "(.+)"$', README, re.MULTILINE)]
    for query in asked:
        assert run_sql(lake, query).schema.names, query


def test_the_lines_for_duckdb_work(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(lake.parent)
    names: dict[str, object] = {}
    exec(code, names)
    assert "con" in names


# ---- files ---------------------------------------------------------------------------------------


def tree_paths() -> list[Path]:
    """The paths that README's tree names."""
    paths, folders = [], list[str]()
    for line in TREE.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders = [*folders[:depth], name.rstrip("/")]
        paths.append(Path(*folders))
    return paths


def test_the_readmes_tree_names_what_exists() -> None:
    missing = [str(path) for path in tree_paths() if not (ROOT / path).exists()]
    assert not missing


def test_the_readmes_tree_names_every_package() -> None:
    packages = {
        path.parent.relative_to(ROOT)
        for folder in ("bench", "flows", "model", "parsing", "pipeline", "storage")
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert packages <= set(tree_paths())


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([\w-]+))?\)", text):
            path = page.parent / target if target else page
            assert path.exists(), f"{page.name}: {target}"
            if anchor:
                titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles}
                assert anchor in anchors, f"{page.name}: {target}#{anchor}"


def test_the_picture_is_in_the_readme_and_has_words() -> None:
    assert "(docs/data-flow.svg)" in README
    picture = (ROOT / "docs" / "data-flow.svg").read_text(encoding="utf-8")
    stages = set(CYCLE) - {"parse-generated", "refine-again"}  # told in the boxes before them
    assert stages <= set(re.findall(r">([\w-]+)</text>", picture))
