"""The settings of the label system."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LabelConfig(BaseModel):
    """How a label system is built; the defaults are the paper's sizes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: int = Field(
        default=4585, ge=1, description="at most this many tag IDs, the most frequent first"
    )
    top: int = Field(
        default=10000, ge=1, description="only this many of the most frequent surface forms"
    )
    min_mentions: int = Field(
        default=3, ge=1, description="a tag needs this many mentions over its forms"
    )
    rare_compounds: Literal["head", "drop"] = Field(
        default="head",
        description="what a compound too rare for its own tag becomes: 'metal bench' bench",
    )
