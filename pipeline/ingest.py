"""Ingest: image-caption pairs from a source become images, captions and shards.

An image is the sha256 of its bytes; the same image twice is one image with all its captions. New
records are sorted by content key and cut into shards of a fixed size; shards that exist are never
cut again, and late captions of a known image form part of a new shard. What cannot be used becomes
a row in `rejects` with its reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from model.errors import ModelError
from model.images import difference_hash, image_format, load_image, upright_size
from pipeline.columns import table_of
from pipeline.config import IngestConfig
from pipeline.errors import ImbalanceError, SourceError
from pipeline.fingerprint import digest, digest_keys
from pipeline.readers import BadRecord, Record, read_uri
from pipeline.readers.base import excerpt
from pipeline.reporting import Quiet, Reporter
from storage.catalog import INSIDE
from storage.crash import crash_point
from storage.lake import Lake

SPLITS = ("train", "eval")
_BATCH = 512
_FOLD_KEYS = 1 << 31
_LOCK = ".ingest.lock"
"""Beside the lake's own, which each commit takes for itself."""


@dataclass(frozen=True)
class Truth:
    """Something known to be in a picture; boxes are xyxy in pixels, or None.

    What is `unclear` is neither right nor wrong of the picture, and nothing is judged by it.
    """

    name: str
    kind: str
    box: tuple[float, float, float, float] | None
    synonyms: tuple[str, ...] = ()
    unclear: bool = False


@dataclass
class _Image:
    """An image as it will be ingested, with what the source says of it."""

    row: dict[str, Any]
    split: str = ""
    said: set[str] = field(default_factory=set)
    captions: set[str] = field(default_factory=set)
    truth: tuple[Truth, ...] = ()
    records: int = 0


@dataclass(frozen=True)
class IngestSummary:
    """What an ingest did, in records."""

    read: int
    new_images: int
    new_captions: int
    known: int
    rejected: int
    shards: int


def ingest(
    lake: Lake,
    records: Iterable[Record | BadRecord],
    config: IngestConfig,
    *,
    split: str | None = None,
    truth: Mapping[str, tuple[Truth, ...]] | None = None,
    total: int = 0,
    reporter: Reporter | None = None,
    run_id: str = "ingest",
) -> IngestSummary:
    """Bring a source into the lake; again with the same source, nothing happens.

    Args:
        split: 'train' or 'eval' for all; None holds `config.eval_share` of new images out.
        truth: what is known to be in an image, by the name that the source gives it.

    Raises:
        SourceError: the source holds no records at all, or an unknown split is named.
    """
    if split not in (None, *SPLITS):
        raise SourceError(f"--split {split}: unknown; choose from: {', '.join(sorted(SPLITS))}")
    images: dict[str, _Image] = {}
    rejects: list[dict[str, Any]] = []
    read = 0
    with (reporter or Quiet()).stage("ingest", total) as advance:
        for record, outcome in _looked_at(records, lake, split):
            read += 1
            advance(1)
            if isinstance(outcome, dict) and isinstance(record, Record):
                _gather(images, record, outcome, split, config, truth or {})
            else:
                rejects.append(_reject(record, outcome))
    if not read:
        raise SourceError("the source holds no records; check its path and --format")
    of_image = {image_id: image.records for image_id, image in images.items()}
    # Of two ingests at once, the second to come here sees all that the first has brought.
    with lake.locked(_LOCK):
        known = _drop_known(lake, images)
        shards = _commit(lake, images, config.shard_size, run_id)
        _commit_source(lake, read, of_image, rejects, run_id)
    new_captions = sum(len(image.captions) for image in images.values())
    new_images = sum(1 for image in images.values() if image.row)
    return IngestSummary(read, new_images, new_captions, known, len(rejects), shards)


# ---- looking at records --------------------------------------------------------------------------


def _looked_at(
    records: Iterable[Record | BadRecord], lake: Lake, split: str | None
) -> Iterator[tuple[Record | BadRecord, dict[str, Any] | tuple[str, str]]]:
    """Each record with its image row, or with why it has none; in order, decoded in threads."""
    stream = iter(records)
    with ThreadPoolExecutor(2) as pool:
        while batch := list(islice(stream, _BATCH)):
            outcomes = pool.map(lambda record: _look(record, lake.path, split), batch)
            yield from zip(batch, outcomes, strict=True)


def _look(
    record: Record | BadRecord, lake: Path, split: str | None
) -> dict[str, Any] | tuple[str, str]:
    if isinstance(record, BadRecord):
        return record.reason, record.detail
    if not split and record.split not in (None, *SPLITS):
        advice = f"say {' or '.join(SPLITS)}, leave it empty, or give --split for all"
        return "unknown-split", f"{record.name}: split '{excerpt(record.split)}'; {advice}"
    try:
        data = read_uri(record.image) if isinstance(record.image, str) else record.image
    except FileNotFoundError as error:
        return "missing-image", f"{error.filename}: no such file; check --images"
    except (OSError, SourceError) as error:
        return "unreadable-image", str(error)
    try:
        picture = load_image(data)
    except ModelError as error:
        return "unreadable-image", f"{record.name}: {error}"
    width, height = upright_size(data)
    image_id = hashlib.sha256(data).hexdigest()
    uri = record.image if isinstance(record.image, str) else _keep(lake, image_id, data)
    return {
        "image_id": image_id, "uri": uri, "name": record.name, "width": width,
        "height": height, "format": image_format(data), "bytes": len(data),
        "fold_key": int(digest(difference_hash(picture)), 16) % _FOLD_KEYS,
    }  # fmt: skip


def _keep(lake: Path, image_id: str, data: bytes) -> str:
    """Store bytes that only their source's container holds under the lake's blobs."""
    inside = f"blobs/{image_id[:2]}/{image_id}"
    path = lake / inside
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Its own: records that share a picture are looked at by several threads at once.
        temporary = path.with_suffix(f".{uuid4().hex}.tmp")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return f"{INSIDE}{inside}"


def _gather(
    images: dict[str, _Image],
    record: Record,
    row: dict[str, Any],
    split: str | None,
    config: IngestConfig,
    truth: Mapping[str, tuple[Truth, ...]],
) -> None:
    image = images.setdefault(row["image_id"], _Image(row))
    # Of several names for the same bytes the first in order counts, whatever the source's order.
    if (row["name"], row["uri"]) < (image.row["name"], image.row["uri"]):
        image.row = row
    if record.split:
        image.said.add(record.split)
    # Said of both, it is for evaluation, which comes first: that must not be trained on.
    image.split = split or min(image.said, default=_split_of(row, config.eval_share))
    image.captions.update(text.encode("utf-8", "replace").decode() for text in record.captions)
    image.records += 1
    image.truth = image.truth or truth.get(record.name, ())


def _split_of(row: Mapping[str, Any], eval_share: float) -> str:
    """Near-duplicates share a fold key, so they never fall on both sides."""
    position = int(digest(["split", row["fold_key"]], 8), 16) / 16**8
    return "eval" if position < eval_share else "train"


def _reject(record: Record | BadRecord, outcome: Any) -> dict[str, Any]:
    reason, detail = outcome
    uri = record.uri if isinstance(record, BadRecord) else record.image
    return {
        "stage": "ingest", "item": record.name, "uri": uri if isinstance(uri, str) else "embedded",
        "image_id": None, "reason": reason, "detail": detail[:500],
    }  # fmt: skip


# ---- writing -------------------------------------------------------------------------------------


def caption_id(image_id: str, source: str, text: str) -> str:
    """A caption is its image, where it comes from, and its text."""
    return hashlib.sha256(f"{image_id}\0{source}\0{text}".encode("utf-8", "replace")).hexdigest()[
        :32
    ]


def _drop_known(lake: Lake, images: dict[str, _Image]) -> int:
    """Take out what the lake has already; returns the number of images that bring nothing new."""
    known = 0
    have_images = set(lake.query("SELECT image_id FROM current_images").column(0).to_pylist())
    sql = "SELECT caption_id FROM current_captions WHERE source = 'original'"
    have_captions = set(lake.query(sql).column(0).to_pylist())
    for image_id in list(images):
        image = images[image_id]
        image.captions = {
            text for text in image.captions
            if caption_id(image_id, "original", text) not in have_captions
        }  # fmt: skip
        if image_id in have_images:
            image.row = {}
            image.truth = ()
            if not image.captions:
                del images[image_id]
                known += 1
    return known


def _commit(lake: Lake, images: dict[str, _Image], size: int, run_id: str) -> int:
    order = sorted(images)
    for start in range(0, len(order), size):
        part = {image_id: images[image_id] for image_id in order[start : start + size]}
        rows = _rows(part)
        keys = rows["images"].column("image_id").to_pylist()
        keys += rows["captions"].column("caption_id").to_pylist()
        shard = digest_keys(keys)
        work = digest(["ingest", shard])
        files = {}
        for table, content in rows.items():
            if content.num_rows:
                for name, value in (("shard_id", shard), ("work_id", work)):
                    column = pa.array([value] * content.num_rows, pa.string())
                    content = content.append_column(name, column)
                files[table] = [lake.stage_file(table, work, content)]
        crash_point("ingest:staged")
        n_in = len(keys)
        ledger = _ledger_row("ingest", shard, shard, work, run_id, n_in, n_in, 0, 0)
        lake.commit(files, [ledger], "ingest")
        crash_point("ingest:committed")
    return -(-len(order) // size)


def _rows(part: Mapping[str, _Image]) -> dict[str, pa.Table]:
    captions = [
        {
            "caption_id": caption_id(image_id, "original", text), "image_id": image_id,
            "text": text, "source": "original", "model_digest": None,
        }
        for image_id, image in part.items()
        for text in sorted(image.captions)
    ]  # fmt: skip
    truth = [
        {"image_id": image_id, "name": t.name, "kind": t.kind, "synonyms": list(t.synonyms)}
        | dict(zip(("x1", "y1", "x2", "y2"), t.box or (None,) * 4, strict=True))
        for image_id, image in part.items()
        for t in image.truth
        if not t.unclear
    ]
    unclear = [
        {"image_id": image_id, "name": t.name, "kind": t.kind}
        for image_id, image in part.items()
        for t in image.truth
        if t.unclear
    ]
    images = [image.row | {"split": image.split} for image in part.values() if image.row]
    lists = {"images": images, "captions": captions, "truth": truth, "unclear": unclear}
    return {name: table_of(name, rows) for name, rows in lists.items()}


def _commit_source(
    lake: Lake, read: int, of_image: Mapping[str, int], rejects: list[dict[str, Any]], run_id: str
) -> None:
    """A ledger row for the source as a whole: each record is in the lake or among the rejects."""
    have = set(lake.query("SELECT image_id FROM current_images").column(0).to_pylist())
    kept = sum(records for image_id, records in of_image.items() if image_id in have)
    # Not by its uri: where a source lies is no content.
    said = (f"{row['item']}\0{row['reason']}\0{row['detail']}" for row in rejects)
    key = digest_keys([*of_image, *said])
    unit = f"source-{digest([read, key])}"
    work = digest(["read", unit])
    files = {}
    if rejects:
        rows = table_of("rejects", rejects)
        rows = rows.append_column("shard_id", pa.array([None] * rows.num_rows, pa.string()))
        rows = rows.append_column("work_id", pa.array([work] * rows.num_rows, pa.string()))
        files["rejects"] = [lake.stage_file("rejects", work, rows)]
    if kept + len(rejects) != read:
        raise ImbalanceError(f"ingest: {read} records in, {kept} kept + {len(rejects)} rejected")
    ledger = _ledger_row("read", unit, unit, work, run_id, read, kept, 0, len(rejects))
    lake.commit(files, [ledger], "read")


def _ledger_row(
    stage: str, unit: str, unit_digest: str, work: str, run_id: str,
    n_in: int, kept: int, dropped: int, rejected: int,
) -> dict[str, Any]:  # fmt: skip
    return {
        "work_id": work, "stage": stage, "unit": unit, "unit_digest": unit_digest,
        "fingerprint": stage, "artifact": None, "n_in": n_in, "n_kept": kept,
        "n_dropped": dropped, "n_rejected": rejected, "run_id": run_id, "seconds": 0.0,
    }  # fmt: skip
