"""Exporters by format: one file each, one line here."""

from __future__ import annotations

from pipeline.errors import PlanError
from pipeline.exporters.base import Exporter, ExportError, ExportSummary
from pipeline.exporters.coco import export_coco
from pipeline.exporters.hf import export_hf
from pipeline.exporters.parquet import export_parquet
from pipeline.exporters.ram_json import export_ram_json
from pipeline.exporters.webdataset import export_webdataset

__all__ = ["EXPORTERS", "ExportError", "ExportSummary", "Exporter", "find_exporter"]

EXPORTERS: dict[str, Exporter] = {
    "ram-json": export_ram_json,
    "coco": export_coco,
    "parquet": export_parquet,
    "webdataset": export_webdataset,
    "hf": export_hf,
}


def find_exporter(name: str) -> Exporter:
    """The exporter of that name.

    Raises:
        PlanError: there is none; the message lists the choices.
    """
    if name not in EXPORTERS:
        raise PlanError(f"--format {name}: unknown; choose from: {', '.join(sorted(EXPORTERS))}")
    return EXPORTERS[name]
