"""The whole cycle on one screen, and the check that its stages fit together."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.baseline import TrainBaseline
from pipeline.calibrate import Calibrate
from pipeline.clean import Clean
from pipeline.encode import Encode
from pipeline.errors import PlanError
from pipeline.evaluate import Evaluate
from pipeline.gate import Gate
from pipeline.generate import Generate
from pipeline.ground import Ground
from pipeline.label import BuildLabels
from pipeline.parse import ParseCaptions, ParseGenerated
from pipeline.publish import Publish
from pipeline.refine import Refine, RefineAgain
from pipeline.retrain import Retrain
from pipeline.stage import Stage
from storage.schemas import TABLES

OUTSIDE = {"ingest": ("images", "captions", "truth", "unclear", "rejects"), "certify": ("answers",)}
"""What commands write that are no stages."""

STAGES: tuple[type[Stage], ...] = (
    ParseCaptions,
    BuildLabels,
    Encode,
    TrainBaseline,
    Refine,
    RefineAgain,
    Generate,
    ParseGenerated,
    Calibrate,
    Ground,
    Clean,
    Publish,
    Retrain,
    Evaluate,
    Gate,
)
CYCLE: dict[str, type[Stage]] = {stage.name: stage for stage in STAGES}


def check_plan(cycle: Mapping[str, type[Stage]]) -> None:
    """Check, before any work, that each stage reads what an earlier one writes.

    Raises:
        PlanError: a stage reads a table that nothing earlier writes, or names an unknown one.
    """
    written = {table for tables in OUTSIDE.values() for table in tables}
    for name, stage in cycle.items():
        for table in (*stage.reads, *stage.writes):
            if table not in TABLES:
                raise PlanError(f"`{name}` names the table `{table}`, which no schema describes")
        for table in stage.reads:
            if table not in written:
                raise PlanError(f"`{name}` reads `{table}`, which no earlier stage writes")
        written.update(stage.writes)
