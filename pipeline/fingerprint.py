"""Digests: how Tagwright knows that a piece of work is done already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any


def digest(value: Any, length: int = 16) -> str:
    """The first hex digits of the sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def digest_keys(keys: Iterable[str], length: int = 16) -> str:
    """The digest of a set of content keys, whatever their order."""
    sha = hashlib.sha256()
    for key in sorted(keys):
        sha.update(key.encode())
        sha.update(b"\n")
    return sha.hexdigest()[:length]
