"""Encode: images become feature maps of the frozen encoder, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from PIL import Image

from model.encoder import make_encoder
from model.errors import ModelError
from model.images import load_image
from pipeline.columns import Halves, blobs_of, constant, table_of
from pipeline.errors import SourceError
from pipeline.pictures import picture_bytes
from pipeline.returned import VANISHED
from pipeline.stage import Batch, Context, Counts, Result, Stage

_LOADED, _PIXELS = 32, 1 << 26  # decoded pictures in memory at a time, and pixels of all but one


class Encode(Stage):
    """Computes what every later step looks at instead of pixels."""

    name = "encode"
    doc = "images -> feature maps"
    reads = ("images",)
    writes = ("features", "rejects")
    inputs: ClassVar = {
        "images": "SELECT image_id, uri, name FROM current_images "
        "WHERE list_contains($units, shard_id) ORDER BY image_id"
    }
    sections = ("encode",)

    def identity(self) -> dict[str, Any]:
        """The encoder's weights and preprocessing."""
        return {"encoder": make_encoder(self.config.encode.encoder).digest}

    def setup(self, context: Context) -> None:
        """Load the encoder."""
        self.encoder = make_encoder(self.config.encode.encoder, threads=self.config.encode.threads)

    def run(self, batch: Batch, context: Context) -> Result:
        """Feature maps of the shard's images; one that has vanished or changed is rejected."""
        images = batch["images"].to_pylist()
        maps, kept, rejects = [], [], []
        pictures: list[Image.Image] = []
        for row in images:
            try:
                pictures.append(load_image(picture_bytes(row["image_id"], row["uri"])))
                kept.append(row["image_id"])
            except (OSError, SourceError, ModelError) as error:
                rejects.append(_reject(row, str(error)))
            pixels = sum(picture.width * picture.height for picture in pictures)
            if len(pictures) == _LOADED or pixels >= _PIXELS:
                maps.append(self.encoder.encode(pictures))
                pictures = []
        if pictures:
            maps.append(self.encoder.encode(pictures))
        rows = {"rejects": table_of("rejects", rejects)}
        if maps:
            rows["features"] = _feature_rows(kept, np.concatenate(maps), self.encoder.digest)
        return Result(rows, {batch.unit: Counts(len(images), len(kept), 0, len(rejects))})


def _reject(row: Mapping[str, Any], detail: str) -> dict[str, Any]:
    return {
        "stage": "encode", "item": row["name"], "uri": row["uri"], "image_id": row["image_id"],
        "reason": VANISHED, "detail": detail,
    }  # fmt: skip


def _feature_rows(image_ids: list[str], maps: Halves, encoder: str) -> pa.Table:
    count, positions, channels = maps.shape
    return table_of(
        "features",
        {
            "image_id": image_ids,
            "encoder": constant(encoder, count, pa.string()),
            "positions": constant(positions, count, pa.int32()),
            "channels": constant(channels, count, pa.int32()),
            "map": blobs_of(maps),
        },
    )
