"""The Prefect flow `retrain`: from the newest publication to a promoted model, or none."""

from __future__ import annotations

from prefect import flow

from flows.tasks import run_stages


@flow(name="retrain", persist_result=False)
def retrain(
    lake: str, config: str | None = None, settings: list[str] | None = None
) -> dict[str, int]:
    """Publish what is new, train on it, evaluate, and let the gate decide.

    Returns:
        The units done at each stage.
    """
    forced = frozenset({"retrain"})
    return run_stages(lake, config, settings or [], first="publish", until=None, forced=forced)
