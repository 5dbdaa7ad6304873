"""What words are merged by: a surface form and its part of speech."""

from __future__ import annotations

from typing import Literal

from parsing.graph import Kind

Part = Literal["noun", "verb", "adjective"]
Key = tuple[str, Part]  # a surface form and its part of speech: "train" twice

PART: dict[Kind, Part] = {
    "object": "noun",
    "scene": "noun",
    "action": "verb",
    "attribute": "adjective",
}
