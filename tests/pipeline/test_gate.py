"""What goes into service: what beats the model that is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.config import Config, load_config
from pipeline.demo import demo_config
from pipeline.evaluate import IN_SERVICE
from pipeline.gate import Gate
from pipeline.promotion import promote, roll_back
from pipeline.runner import Runner
from pipeline.stage import Batch, Context
from pipeline.taggers import lake_tagger, models_of
from storage.lake import Lake

ROLES = ("baseline", "retrained", "fine-tuned", IN_SERVICE)
CYCLE = {"baseline": 0.5, "retrained": 0.6, "fine-tuned": 0.7}
LEARN_NOTHING = [f"retrain.{part}.encoder_epochs=0" for part in ("tagger", "finetune")]


def decide(values: dict[str, float], kept: str, least: float) -> tuple[str, str, str]:
    """Decision, model and reason of a gate that sees the mAP of some roles, one of them served."""
    rows = [{"subject": f"the {role}", "role": role, "value": v} for role, v in values.items()]
    known = [{"model_digest": f"the {role}", "label_version": "v"} for role in (*ROLES, "older")]
    schema = pa.schema({"subject": pa.string(), "role": pa.string(), "value": pa.float64()})
    tables = {
        "metrics": pa.Table.from_pylist(rows, schema), "models": pa.Table.from_pylist(known),
        "kept": pa.table({"model_digest": [f"the {kept}"]}),
        "publication": pa.table({"publication_id": ["p"]}),
    }  # fmt: skip
    config = load_config(None, [f"gate.min_gain={least}"])
    context = Context(Path("lake"), config, 1, lambda *_: pa.table({}), lambda *_: iter(()))
    (row,) = Gate(config, 1).run(Batch(("corpus",), tables), context).rows["promotions"].to_pylist()
    return row["decision"], row["model_digest"].removeprefix("the "), row["reason"]


@pytest.mark.parametrize(
    ("values", "kept", "least", "decision", "model"),
    [
        (CYCLE, "baseline", 0.0, "promoted", "fine-tuned"),
        (CYCLE, "baseline", 0.3, "kept", "baseline"),
        ({"baseline": 0.5, "retrained": 0.5}, "baseline", 0.0, "kept", "baseline"),
        # Served is one of the cycle's own: going through the gate again does not put it back.
        (CYCLE, "retrained", 0.15, "kept", "retrained"),
        (CYCLE, "retrained", 0.05, "promoted", "fine-tuned"),
        (CYCLE | {IN_SERVICE: 0.75}, IN_SERVICE, 0.0, "kept", IN_SERVICE),
        ({"baseline": 0.7, IN_SERVICE: 0.65}, IN_SERVICE, 0.0, "promoted", "baseline"),
        # Another encoder made its features: the baseline is to beat, and only what does replaces.
        (CYCLE, "older", 0.0, "promoted", "fine-tuned"),
        (CYCLE, "older", 0.3, "kept", "older"),
        ({}, "older", 0.0, "kept", "older"),
    ],
)
def test_what_beats_the_model_in_service_replaces_it(
    values: dict[str, float], kept: str, least: float, decision: str, model: str
) -> None:
    *found, reason = decide(values, kept, least)
    assert found == [decision, model]
    assert ("the model in service" in reason) == (kept in values)
    assert ("--split eval" in reason) == (not values)


def test_a_weaker_retraining_leaves_the_model_in_service(demo_copy: Path) -> None:
    path = demo_copy / "lake"

    def served(config: Config, first: str) -> tuple[str, dict[str, str], dict[str, float]]:
        Runner(path, config).run(first=first)
        with Lake.open(path, read_only=True) as lake:
            digest = lake.scalar("SELECT model_digest FROM current_promotions")
            models = "SELECT model_digest, role FROM current_models"
            values = "SELECT role, value FROM current_metrics WHERE name = 'mAP' AND kind = 'all'"
            held = [
                dict(zip(*lake.query(sql).to_pydict().values(), strict=True))
                for sql in (models, values)
            ]
        return digest, held[0], held[1]

    plain = demo_config(24, 0).model_dump()
    service, models, before = served(Config.model_validate(plain), "gate")
    if models[service] == "baseline":
        promoting = Config.model_validate(plain | {"gate": {"min_gain": -1}})
        service, models, before = served(promoting, "gate")
    assert models[service] in ("retrained", "fine-tuned")
    weaker = load_config(None, LEARN_NOTHING).retrain.model_copy(update={"threads": 1})
    strict = Config.model_validate(plain | {"gate": {"min_gain": 1}})
    strict = strict.model_copy(update={"retrain": weaker})
    kept, models_now, after = served(strict, "retrain")
    assert kept == service and service not in models_now
    assert after[IN_SERVICE] == before[models[service]]
    assert after["baseline"] == before["baseline"]
    (row,) = (row for row in models_of(path) if row["in_service"])
    assert row["model"] == service and row["mAP"] == after[IN_SERVICE]
    tagger = lake_tagger(path, None)
    assert tagger.info.label_version and np.any(tagger.thresholds < 1)
    # By hand it is taken from service and put back, and a run leaves it at that, also after one
    # with other settings, by which the gate has decided anew.
    promote(path, "baseline")
    assert models_now[served(strict, "gate")[0]] == "baseline"
    stricter = strict.model_copy(update={"gate": strict.gate.model_copy(update={"min_gain": 0.9})})
    assert models_now[served(stricter, "gate")[0]] == "baseline"
    assert models_now[served(strict, "gate")[0]] == "baseline"
    roll_back(path)
    assert served(strict, "gate")[0] == service
