"""Pictures that a stage could not read and that are back: their shards are done again."""

from __future__ import annotations

from collections import defaultdict

from pipeline.errors import SourceError
from pipeline.fingerprint import digest
from pipeline.pictures import picture_bytes
from storage.lake import Lake

VANISHED = "image-vanished"
"""Why an image is among the rejects of a stage that looks at pictures."""
_MISSED = (
    "SELECT r.work_id, image_id, i.uri, l.unit FROM current_rejects r "
    "JOIN current_ledger l USING (work_id) JOIN current_images i USING (image_id) "
    f"WHERE r.reason = '{VANISHED}' ORDER BY ALL"
)


def take_back(lake: Lake, run_id: str) -> None:
    """Give each shard with such pictures a new digest, by which all that was made of it is old.

    The digest names what missed them, so a second call before they are looked at changes nothing.
    """
    back: dict[str, list[str]] = defaultdict(list)
    for row in lake.query(_MISSED).to_pylist():
        if _readable(row["image_id"], row["uri"]):
            back[row["unit"]].append(f"{row['work_id']} {row['image_id']}")
    if not back:
        return
    shards = lake.query(
        "SELECT * FROM current_ledger WHERE stage = 'ingest' AND list_contains($units, unit)",
        {"units": list(back)},
    ).to_pylist()
    digests = {unit: digest([unit, missed]) for unit, missed in back.items()}
    rows = [
        shard | {"unit_digest": digests[shard["unit"]], "run_id": run_id}
        for shard in shards
        if shard["unit_digest"] != digests[shard["unit"]]
    ]
    if rows:
        lake.commit({}, rows, "ingest")


def _readable(image_id: str, uri: str) -> bool:
    try:
        picture_bytes(image_id, uri)
    except (OSError, SourceError):
        return False
    return True


def told_missed(lake: Lake) -> str | None:
    """One sentence about pictures that could not be read; None where there are none."""
    found = lake.query(
        "SELECT count(DISTINCT image_id) AS images, min(item || ': ' || detail) AS first "
        f"FROM current_rejects WHERE reason = '{VANISHED}'"
    ).to_pylist()[0]
    if not found["images"]:
        return None
    return (
        f"{found['images']} pictures could not be read, such as {found['first']}; the next run "
        "takes in those that are back; all: tagwright sql "
        f"\"SELECT item, uri, detail FROM current_rejects WHERE reason = '{VANISHED}'\""
    )
