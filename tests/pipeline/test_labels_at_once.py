"""Two changes of a label system at once: by hand, by `labels build`, by a run."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from parsing.label_edits import add, merge
from parsing.labels import LabelSystem
from pipeline.config import load_config
from pipeline.label import BuildLabels
from pipeline.labels import adopt, build, change, current_system, system_named
from pipeline.reporting import Quiet
from pipeline.runner import Runner
from storage.lake import Lake
from tests.lakes import captioned_lake


@pytest.mark.slow
@pytest.mark.parametrize("first", ["edit", "build", "run"])
def test_of_two_changes_none_is_lost(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config()
    lake = captioned_lake(tmp_path, config.ingest, 4)
    adopt(lake, config, LabelSystem.from_list(["horse,object", "sofa,object", "couch,object"]))

    def second(opened: Lake) -> LabelSystem:
        return merge(current_system(opened), "couch", "sofa")

    meanwhile = Thread(target=change, args=(lake, config, second))

    def slowly(system: LabelSystem) -> LabelSystem:
        meanwhile.start()
        meanwhile.join(1)  # done by then, unless it waits for us
        return system

    built = BuildLabels.built
    monkeypatch.setattr(BuildLabels, "built", lambda *given: slowly(built(*given)))
    if first == "edit":
        change(lake, config, lambda opened: slowly(add(current_system(opened), "dog", "object")))
    elif first == "build":
        build(lake, config, config, 1, Quiet())
    else:
        Runner(lake, config).run(until="label", force=frozenset({"label"}))
    meanwhile.join()
    names = {label.name for label in system_named(lake, None).labels}
    assert names - {"chair"} == {"horse", "couch", "dog"}
