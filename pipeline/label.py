"""Label: mentions of the corpus become a label system; tags are views through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from parsing.hierarchy import parents
from parsing.labels import Label, LabelSystem, Merge, Surface, SurfaceCount, build_labels
from pipeline.columns import table_of
from pipeline.stage import Batch, Context, Counts, Result, Stage

PREVIOUS = {
    "labels": "SELECT * FROM current_labels ORDER BY tag_id",
    "surfaces": "SELECT * FROM current_label_surfaces ORDER BY surface, kind",
    "merges": "SELECT * FROM current_label_merges ORDER BY surface, into_surface",
    # of all versions: an ID that was retired is not given again
    "ever_free": "SELECT max(tag_id) + 1 FROM labels",
}
"""What `system_of` reads."""


class BuildLabels(Stage):
    """Builds the label system from the training images' captions, extending the one in use."""

    name = "label"
    doc = "mentions -> label system"
    unit = "corpus"
    pinned = True
    reads = ("mentions", "images")
    writes = ("labels", "label_surfaces", "label_merges", "label_parents")
    inputs: ClassVar = {
        "counts": "SELECT surface, m.kind, count(*) AS mentions, "
        "count(DISTINCT m.image_id) AS images FROM current_mentions m "
        "JOIN current_images i USING (image_id) "
        "WHERE m.source = 'original' AND i.split = 'train' GROUP BY ALL ORDER BY ALL",
        **PREVIOUS,
    }
    sections = ("label",)

    def run(self, batch: Batch, context: Context) -> Result:
        """Every surface form is kept with a tag ID or dropped with a reason."""
        counts = [
            SurfaceCount(row["surface"], row["kind"], row["mentions"], row["images"])
            for row in batch["counts"].to_pylist()
        ]
        system = build_labels(counts, self.config.label, previous=system_of(batch.tables))
        considered = {(c.surface, c.kind) for c in counts}
        of_corpus = [s for s in system.surfaces if (s.surface, s.kind) in considered]
        kept = sum(s.state == "kept" for s in of_corpus)
        dropped = sum(s.state == "dropped" for s in of_corpus)
        balance = {batch.unit: Counts(len(counts), kept, dropped)}
        return Result(rows_of(system), balance, artifact=system.version)


def rows_of(system: LabelSystem) -> dict[str, Any]:
    """A label system as rows of its tables."""
    version = system.version

    def rows(items: Sequence[Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            {"label_version": version} | {to: getattr(item, name) for name, to in names.items()}
            for item in items
        ]

    def same(*names: str) -> dict[str, str]:
        return {name: name for name in names}

    return {
        "labels": table_of(
            "labels", rows(system.labels, same("tag_id", "name", "kind", "mentions"))
        ),
        "label_surfaces": table_of(
            "label_surfaces",
            rows(
                system.surfaces,
                same("surface", "kind", "tag_id", "state", "reason", "mentions"),
            ),
        ),
        "label_merges": table_of(
            "label_merges",
            rows(
                system.merges,
                same("tag_id", "surface", "evidence", "score", "state") | {"into": "into_surface"},
            ),
        ),
        "label_parents": table_of(
            "label_parents",
            [
                {"label_version": version, "tag_id": tag_id, "parent_id": parent}
                for tag_id, above in sorted(parents(system).items())
                for parent in above
            ],
        ),
    }


def system_of(tables: Mapping[str, pa.Table]) -> LabelSystem | None:
    """The label system in rows of `labels`, `surfaces` and `merges`; None where there is none."""
    if not tables["labels"].num_rows:
        return None
    labels = tuple(
        Label(row["tag_id"], row["name"], row["kind"], row["mentions"])
        for row in tables["labels"].to_pylist()
    )
    surfaces = tuple(
        Surface(r["surface"], r["kind"], r["tag_id"], r["state"], r["reason"], r["mentions"])
        for r in tables["surfaces"].to_pylist()
    )
    merges = tuple(
        Merge(r["tag_id"], r["surface"], r["into_surface"], r["evidence"], r["score"], r["state"])
        for r in tables["merges"].to_pylist()
    )
    free = tables["ever_free"].column(0)[0].as_py() or 0
    return LabelSystem(labels=labels, surfaces=surfaces, merges=merges, ever_free=free)
