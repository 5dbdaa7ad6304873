"""Gate: the best retrained model is promoted only if it beats the one in service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from pipeline.columns import table_of
from pipeline.fingerprint import digest
from pipeline.stage import Batch, Context, Counts, Result, Stage


class Gate(Stage):
    """Promotes or keeps; both are a row with the reason."""

    name = "gate"
    doc = "metrics -> promote or keep"
    unit = "corpus"
    pinned = True
    reads = ("metrics", "models", "publications")
    writes = ("promotions",)
    inputs: ClassVar = {
        "metrics": "SELECT subject, role, value FROM current_metrics "
        "WHERE name = 'mAP' AND kind = 'all' AND tag_id IS NULL ORDER BY value DESC, role",
        "models": "SELECT model_digest, role, label_version FROM current_models "
        "WHERE role IN ('baseline', 'retrained', 'fine-tuned')",
        "publication": "SELECT publication_id FROM current_publications",
    }
    sections = ("gate",)

    def run(self, batch: Batch, context: Context) -> Result:
        """One promotion row."""
        metrics = batch["metrics"].to_pylist()
        models = {m["model_digest"]: m for m in batch["models"].to_pylist()}
        by_role = {m["role"]: d for d, m in models.items()}
        row = self._decide(metrics, by_role)
        row["publication_id"] = batch["publication"].column(0)[0].as_py()
        row["label_version"] = models[row["model_digest"]]["label_version"]
        artifact = digest(row)
        row["decided_at"] = datetime.now(UTC).replace(tzinfo=None)
        counts = Counts(len(metrics), len(metrics))
        return Result({"promotions": table_of("promotions", [row])}, {batch.unit: counts}, artifact)

    def _decide(self, metrics: list[dict[str, Any]], by_role: dict[str, str]) -> dict[str, Any]:
        values = {m["role"]: m["value"] for m in metrics}
        if "baseline" not in values or len(values) < 2:
            return {
                "model_digest": by_role["baseline"], "decision": "kept",
                "reason": "no evaluation images: nothing to compare on; add some with --split eval",
            }  # fmt: skip
        best = max((r for r in values if r != "baseline"), key=lambda role: values[role])
        gain = values[best] - values["baseline"]
        promoted = gain > self.config.gate.min_gain
        words = (
            f"{best} has mAP {values[best]:.3f}, baseline {values['baseline']:.3f}, "
            f"gain {gain:+.3f}, needed more than {self.config.gate.min_gain:+.3f}"
        )
        return {
            "model_digest": by_role[best if promoted else "baseline"],
            "decision": "promoted" if promoted else "kept",
            "reason": words,
        }
