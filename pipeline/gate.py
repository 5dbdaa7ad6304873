"""Gate: the best tagger of the cycle goes into service only if it beats the one that is there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from pipeline.columns import table_of
from pipeline.evaluate import IN_SERVICE
from pipeline.fingerprint import digest
from pipeline.stage import Batch, Context, Counts, Result, Stage


class Gate(Stage):
    """Promotes or keeps; both are a row with the reason."""

    name = "gate"
    doc = "metrics -> promote or keep"
    unit = "corpus"
    pinned = True
    edited = True
    reads = ("metrics", "models", "publications")
    writes = ("promotions",)
    inputs: ClassVar = {
        "metrics": "SELECT subject, role, value FROM current_metrics "
        "WHERE name = 'mAP' AND kind = 'all' AND tag_id IS NULL ORDER BY value DESC, role",
        "models": "SELECT DISTINCT model_digest, label_version FROM models",
        "kept": "SELECT coalesce((SELECT model_digest FROM current_promotions), "
        "(SELECT model_digest FROM current_models WHERE role = 'baseline')) AS model_digest",
        "publication": "SELECT publication_id FROM current_publications",
    }
    sections = ("gate",)

    def run(self, batch: Batch, context: Context) -> Result:
        """One promotion row."""
        metrics = batch["metrics"].to_pylist()
        row = self._decide(metrics, batch["kept"].column(0)[0].as_py())
        label_versions = dict(zip(*batch["models"].to_pydict().values(), strict=True))
        row["publication_id"] = batch["publication"].column(0)[0].as_py()
        row["label_version"] = label_versions[row["model_digest"]]
        artifact = digest(row)
        row["decided_at"] = datetime.now(UTC).replace(tzinfo=None)
        counts = Counts(len(metrics), len(metrics))
        return Result({"promotions": table_of("promotions", [row])}, {batch.unit: counts}, artifact)

    def _decide(self, metrics: list[dict[str, Any]], kept: str) -> dict[str, Any]:
        """The best tagger against the one in service; the baseline where that has no figure."""
        by_role = {row["role"]: row for row in metrics}
        served = next((row for row in metrics if row["subject"] == kept), None)
        to_beat = served or by_role.get(IN_SERVICE) or by_role.get("baseline")
        others = [row for row in metrics if to_beat and row["subject"] != to_beat["subject"]]
        if to_beat is None or not others:
            return {
                "model_digest": kept, "decision": "kept",
                "reason": "no evaluation images: nothing to compare on; add some with --split eval",
            }  # fmt: skip
        best = max(others, key=lambda row: row["value"])
        gain = best["value"] - to_beat["value"]
        promoted = gain > self.config.gate.min_gain
        other = "the model in service" if to_beat["subject"] == kept else to_beat["role"]
        words = (
            f"{best['role']} has mAP {best['value']:.3f}, "
            f"{other} {to_beat['value']:.3f}, "
            f"gain {gain:+.3f}, needed more than {self.config.gate.min_gain:+.3f}"
        )
        return {
            "model_digest": best["subject"] if promoted else kept,
            "decision": "promoted" if promoted else "kept",
            "reason": words,
        }
