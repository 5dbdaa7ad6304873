"""Label: mentions of the corpus become a label system; tags are views through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from model.text import TextEncoder
from parsing.errors import ParsingError
from parsing.hierarchy import akin, parents
from parsing.keys import PART, Key
from parsing.labels import Label, LabelSystem, Merge, Surface, SurfaceCount, build_labels
from parsing.merging import NO_WORDS, Doubts, Translations, spelling, strong_pairs
from parsing.seeds import Seed, read_seeds
from parsing.seeds import digest_source as seeds_source
from parsing.translations import digest_source as words_source
from parsing.translations import read_translations
from pipeline.columns import table_of
from pipeline.fingerprint import digest
from pipeline.stage import Batch, Context, Counts, Result, Stage

PREVIOUS = {
    "labels": "SELECT * FROM current_labels ORDER BY tag_id",
    "surfaces": "SELECT * FROM current_label_surfaces ORDER BY surface, kind",
    "merges": "SELECT * FROM current_label_merges ORDER BY surface, into_surface",
    "thresholds": "SELECT tag_id, threshold FROM current_label_thresholds ORDER BY tag_id",
    # of all versions: an ID that was retired is not given again
    "ever_free": "SELECT max(tag_id) + 1 FROM labels",
}
"""What `system_of` reads."""


class BuildLabels(Stage):
    """Builds the label system from the training images' captions, extending the one in use."""

    name = "label"
    version = 3
    doc = "mentions -> label system"
    unit = "corpus"
    pinned = True
    edited = True
    reads = ("mentions", "images")
    writes = (
        "labels", "label_surfaces", "label_merges", "label_parents", "label_akin",
        "label_thresholds",
    )  # fmt: skip
    inputs: ClassVar = {
        "counts": "SELECT surface, m.kind, count(*) AS mentions, "
        "count(DISTINCT m.image_id) AS images FROM current_mentions m "
        "JOIN current_images i USING (image_id) "
        "WHERE m.source = 'original' AND i.split = 'train' GROUP BY ALL ORDER BY ALL",
        **PREVIOUS,
    }
    sections = ("label",)
    files = ("seeds", "translations", "translations_of")

    def check(self) -> None:
        """Read the files that the settings name."""
        self.given()

    def given(self) -> tuple[tuple[Seed, ...], Translations]:
        """Seeds and translations.

        Raises:
            ParsingError: no such vocabulary, or a file that cannot be used.
        """
        config = self.config.label
        if config.translations_of and not config.translations:
            raise ParsingError("label.translations_of needs label.translations: the list to align.")
        of = Path(config.translations_of) if config.translations_of else None
        listed = Path(config.translations) if config.translations else None
        return read_seeds(config.seeds), read_translations(listed, of) if listed else {}

    def identity(self) -> dict[str, Any]:
        """Names are compared by their embeddings; files count by what is in them."""
        seeds, words = self.given()
        made = {"seeds": seeds_source(seeds), "translations": words_source(words)}
        given = {name: digest(text) for name, text in made.items() if text != "[]"}
        return {"text": TextEncoder().digest, **given}

    def built(self, tables: Mapping[str, pa.Table], query: Callable[..., pa.Table]) -> LabelSystem:
        """The system in use, extended by the corpus and by what the settings name."""
        return self.extended(system_of(tables), tables["counts"], query)

    def extended(
        self, previous: LabelSystem | None, counted: pa.Table, query: Callable[..., pa.Table]
    ) -> LabelSystem:
        """A system extended by mentions as `inputs["counts"]` counts them."""
        counts = [
            SurfaceCount(row["surface"], row["kind"], row["mentions"], row["images"])
            for row in counted.to_pylist()
        ]
        seeds, words = self.given()
        keys = {(c.surface, PART[c.kind]) for c in counts} | {seed.key for seed in seeds}
        return build_labels(
            counts, self.config.label, previous, doubts(keys, query, words),
            words=words, seeds=seeds,
        )  # fmt: skip

    def run(self, batch: Batch, context: Context) -> Result:
        """Every surface form is kept with a tag ID or dropped with a reason."""
        system = self.built(batch.tables, context.query)
        counts = batch["counts"].to_pylist()
        considered = {(row["surface"], row["kind"]) for row in counts}
        of_corpus = [s for s in system.surfaces if (s.surface, s.kind) in considered]
        kept = sum(s.state == "kept" for s in of_corpus)
        dropped = sum(s.state == "dropped" for s in of_corpus)
        balance = {batch.unit: Counts(len(counts), kept, dropped)}
        return Result(rows_of(system), balance, artifact=system.version)


LEAST_ALIKE = 0.35
"""Cosine of two names' text embeddings below which they are hardly the same thing."""
MOST_TOGETHER = 0.02
"""Share of the rarer form's captions that may name both: who says sofa and couch means two."""
_TOGETHER = """
    WITH pairs AS (SELECT unnest($a) AS a, unnest($b) AS b),
    said AS (
        SELECT DISTINCT caption_id, surface FROM current_mentions
        WHERE source = 'original' AND surface IN (SELECT a FROM pairs UNION SELECT b FROM pairs)
    ),
    often AS (SELECT surface, count(*) AS captions FROM said GROUP BY surface)
    SELECT p.a, p.b, count(*) AS together,
           least(any_value(m.captions), any_value(n.captions)) AS rarer
    FROM pairs p
    JOIN said x ON x.surface = p.a
    JOIN said y ON y.surface = p.b AND y.caption_id = x.caption_id
    JOIN often m ON m.surface = p.a
    JOIN often n ON n.surface = p.b
    GROUP BY p.a, p.b
"""


def doubts(
    keys: set[Key], query: Callable[..., pa.Table], words: Translations = NO_WORDS
) -> Doubts:
    """What the captions and the text encoder say against merges that would be made.

    Two forms that one caption names side by side are two things; two names whose embeddings lie
    far apart are hardly one.
    """
    pairs = sorted(set(strong_pairs(keys, words)))
    if not pairs:
        return {}
    names = sorted({surface for pair in pairs for surface, _ in pair})
    vectors = dict(zip(names, TextEncoder().label_queries(names), strict=True))
    ends = {"a": [a for (a, _), _ in pairs], "b": [b for _, (b, _) in pairs]}
    shares = {
        (row["a"], row["b"]): row["together"] / row["rarer"]
        for row in query(_TOGETHER, ends).to_pylist()
    }
    found: dict[frozenset[Key], str] = {}
    for a, b in pairs:
        share, alike = shares.get((a[0], b[0]), 0.0), float(vectors[a[0]] @ vectors[b[0]])
        if share > MOST_TOGETHER:
            found[frozenset({a, b})] = f"{share:.0%} of the rarer one's captions name both"
        elif alike < LEAST_ALIKE and spelling(a[0]) != spelling(b[0]):
            found[frozenset({a, b})] = f"the names are little alike ({alike:.2f})"
    return found


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
        "label_akin": table_of(
            "label_akin",
            [
                {"label_version": version, "tag_id": tag_id, "general_id": general}
                for tag_id, general in akin(system)
            ],
        ),
        "label_thresholds": table_of(
            "label_thresholds",
            [
                {"label_version": version, "tag_id": tag_id, "threshold": cut}
                for tag_id, cut in system.thresholds
            ],
        ),
    }


def system_of(tables: Mapping[str, pa.Table]) -> LabelSystem | None:
    """The label system in rows by the names in `PREVIOUS`; None where there is none."""
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
    cuts = tuple((row["tag_id"], row["threshold"]) for row in tables["thresholds"].to_pylist())
    return LabelSystem(labels, surfaces, merges, free, cuts)
