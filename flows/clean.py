"""The Prefect flow `clean`: from new shards to a published snapshot."""

from __future__ import annotations

from prefect import flow

from flows.tasks import run_stages


@flow(name="clean", persist_result=False)
def clean(
    lake: str, config: str | None = None, settings: list[str] | None = None
) -> dict[str, int]:
    """Run every stage up to `publish` over what is not done yet.

    Returns:
        The units done at each stage; empty when there was nothing to do.
    """
    return run_stages(lake, config, settings or [], first=None, until="publish")
