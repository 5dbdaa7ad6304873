"""Publish: check that nothing was lost and no tag is harmed, then name the snapshot that training
may read."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from pipeline.certificate import CERTIFICATE, TagCertificate, certificate_of, harmed
from pipeline.columns import table_of
from pipeline.config import PublishConfig
from pipeline.errors import HarmError, ImbalanceError
from pipeline.fingerprint import digest
from pipeline.stage import Batch, Context, Counts, Result, Stage


class Publish(Stage):
    """One publication per state of the evidence and the verdicts."""

    name = "publish"
    version = 2
    doc = "balance and harm check -> one snapshot"
    unit = "corpus"
    reads = (
        "images", "captions", "mentions", "labels", "label_surfaces", "tag_scores", "thresholds",
        "regions", "verdicts", "answers",
    )  # fmt: skip
    writes = ("publications",)
    inputs: ClassVar = {
        "balance": "SELECT stage, shard_id, balance FROM shard_balance WHERE balance <> 0",
        "totals": """
            SELECT (SELECT count(*) FROM candidate_tags WHERE split = 'train') AS candidates,
                   (SELECT count(*) FROM tags WHERE split = 'train') AS tags,
                   (SELECT count(*) FROM tag_evidence WHERE split = 'train') AS evidence,
                   (SELECT count(DISTINCT image_id) FROM tags WHERE split = 'train') AS images,
                   (SELECT count(*) FROM candidate_tags c
                    SEMI JOIN dropped_tags d ON d.image_id = c.image_id AND d.tag_id = c.tag_id
                    WHERE c.split = 'train') AS dropped,
                   (SELECT max(label_version) FROM current_labels) AS label_version,
                   (SELECT max(snapshot_id) FROM lake.snapshots()) AS snapshot_id
        """,
        "works": "SELECT work_id FROM current_ledger WHERE stage NOT IN "
        "('publish', 'retrain', 'evaluate', 'gate') ORDER BY work_id",
        **CERTIFICATE,
    }
    sections = ("publish",)

    def run(self, batch: Batch, context: Context) -> Result:
        """The publication, or an error that says where rows are missing.

        Raises:
            ImbalanceError: in != kept + dropped + rejected somewhere.
            HarmError: answers show that cleaning loses too many right ones of a tag.
        """
        for row in batch["balance"].slice(0, 1).to_pylist():
            raise ImbalanceError(
                f"publish: {row['stage']} of {row['shard_id']} is out of balance by "
                f'{row["balance"]}; see `tagwright sql "SELECT * FROM shard_balance"`'
            )
        if tags := harmed(certificate_of(batch.tables), self.config.publish):
            raise HarmError(_refusal(tags, self.config.publish, self.config.clean.spare))
        (totals,) = batch["totals"].to_pylist()
        counts = Counts(totals["candidates"], totals["tags"], totals["dropped"])
        publication = digest([context.cycle, batch["works"].column(0).to_pylist()])
        row = {
            "publication_id": publication, "cycle": context.cycle,
            "snapshot_id": totals["snapshot_id"], "label_version": totals["label_version"],
            "images": totals["images"], "tags": totals["tags"], "evidence": totals["evidence"],
            "dropped": totals["dropped"],
            "published_at": datetime.now(UTC).replace(tzinfo=None),
        }  # fmt: skip
        rows = {"publications": table_of("publications", [row])}
        return Result(rows, {batch.unit: counts}, publication)


def _refusal(tags: list[TagCertificate], config: PublishConfig, spared: Sequence[str]) -> str:
    """What is harmed and what to do; settings are not remembered, so tags spared before stay."""
    worst = tags[0]
    lost, names = worst.lost, [*spared, *(tag.name for tag in tags)]
    setting = shlex.quote(f"clean.spare={json.dumps(names, ensure_ascii=False)}")
    return (
        f"publish: cleaning loses {lost.estimate:.0%} of the right tags {worst.name!r} (95 % "
        f"interval {lost.low:.0%} to {lost.high:.0%}, {worst.answers} answers), allowed are "
        f"{config.allow_harm:.0%}; `--set {setting}` leaves "
        f"{'it' if len(tags) == 1 else f'all {len(tags)} that lose so much'} alone, "
        f"`--set publish.allow_harm={math.ceil(lost.low * 100) / 100}` allows it"
    )
