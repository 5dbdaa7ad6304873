"""Parquet: tags, captions, images and labels as four tables that any data tool reads."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from pipeline.exporters.base import ExportError, ExportSummary, new_folder
from pipeline.stage import Progress
from storage.lake import Lake

_WANTED = "i.split IN ('train', 'eval')"
TABLES = {
    "tags": f"""
        SELECT t.image_id, t.split, t.tag_id, t.name, t.kind, t.sources, t.in_caption, t.score,
               t.depth, t.evidence
        FROM tags t JOIN current_images i USING (image_id)
        WHERE {_WANTED} ORDER BY t.image_id, t.tag_id""",
    "captions": f"""
        SELECT c.image_id, i.split, c.caption_id, c.text, c.source, c.model_digest
        FROM current_captions c JOIN current_images i USING (image_id)
        WHERE {_WANTED} ORDER BY c.image_id, c.source <> 'original', c.text, c.caption_id""",
    "images": f"""
        SELECT i.image_id, i.split, i.name, i.uri, i.width, i.height, i.format, i.bytes
        FROM current_images i WHERE {_WANTED} ORDER BY i.image_id""",
    "labels": "SELECT label_version, tag_id, name, kind, mentions FROM current_labels "
    "ORDER BY tag_id",
}


def export_parquet(lake: Lake, dest: Path, progress: Progress) -> ExportSummary:
    """Write one file per table of TABLES."""
    rows: dict[str, int] = {}
    with new_folder(dest) as folder:
        for done, (name, sql) in enumerate(TABLES.items(), 1):
            table = lake.query(sql)
            rows[name] = table.num_rows
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
            progress(done, len(TABLES), name)
        if not rows["labels"] or not rows["images"]:
            raise ExportError(f"{lake.path}: no tags to export yet; run `tagwright run` first")
    return ExportSummary(dest, rows["images"], rows["captions"], rows["tags"])
