"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LakeDir = Annotated[Path, typer.Option("--lake", envvar="TAGWRIGHT_LAKE", help="the lake's folder")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="a TOML or YAML file")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="stage.key=value, over the config file")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="worker processes; as many as cores, 8 at most")
]
DEFAULT_LAKE = Path("lake")
