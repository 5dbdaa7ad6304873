"""Pictures by path for whoever looks at them now, a few at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from PIL import Image

from model.errors import UnreadableImage
from model.images import load_image
from pipeline.errors import SourceError
from pipeline.readers import read_uri

AT_ONCE = 32
"""Decoded pictures in memory."""


def picture_bytes(image_id: str, uri: str) -> bytes:
    """The file of an image of the lake.

    Raises:
        SourceError: it is not the file any more that was ingested.
        OSError: it cannot be read.
    """
    data = read_uri(uri)
    if hashlib.sha256(data).hexdigest() != image_id:
        raise SourceError(f"{uri}: the file changed since it was ingested; ingest it again")
    return data


def read_pictures(
    uris: Sequence[str], unread: list[str]
) -> Iterator[list[tuple[int, Image.Image]]]:
    """The readable pictures with their places in `uris`, in groups.

    What cannot be read goes to `unread`, a line each with the reason.
    """
    for start in range(0, len(uris), AT_ONCE):
        found = []
        for place, uri in enumerate(uris[start : start + AT_ONCE], start):
            try:
                found.append((place, load_image(read_uri(uri))))
            except (OSError, SourceError, UnreadableImage) as error:
                unread.append(f"{uri}: {error}")
        if found:
            yield found
