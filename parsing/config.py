"""The settings of the label system."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


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
    seeds: tuple[str, ...] = Field(
        default=(),
        description="names that get a tag in any case: packaged vocabularies, `all`, or files "
        "with one name a line",
    )
    translations: str = Field(
        default="", description="a bilingual list, `surface<TAB>word/word`: evidence for merges"
    )
    translations_of: str = Field(
        default="", description="the list of names that `translations` is aligned with, by line"
    )

    @field_validator("seeds", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value
