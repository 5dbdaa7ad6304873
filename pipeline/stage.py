"""What a step of the cycle is: it declares what it reads and writes; `run` is a pure function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa

from pipeline.config import Config

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and a few words."""


@dataclass(frozen=True)
class Unit:
    """The smallest piece of work that is done or not: a shard, a tag, or the whole corpus.

    `digest` is derived from the content keys that the unit holds; `size` counts what makes it work.
    """

    id: str
    digest: str
    size: int = 1


@dataclass(frozen=True)
class Counts:
    """What became of a unit's items."""

    n_in: int
    kept: int
    dropped: int = 0
    rejected: int = 0

    @property
    def balance(self) -> int:
        """Zero when nothing was lost."""
        return self.n_in - self.kept - self.dropped - self.rejected


@dataclass(frozen=True)
class Batch:
    """The inputs of a group of units."""

    units: tuple[str, ...]
    tables: Mapping[str, pa.Table]

    @classmethod
    def read(
        cls, inputs: Mapping[str, str], query: Callable[..., pa.Table], units: Sequence[str]
    ) -> Batch:
        """The answers to a stage's `inputs`; `$units` is bound where it is asked for."""
        asked = {"units": list(units)}
        return cls(
            tuple(units),
            {name: query(sql, asked if "$units" in sql else None) for name, sql in inputs.items()},
        )

    def __getitem__(self, name: str) -> pa.Table:
        return self.tables[name]

    @property
    def unit(self) -> str:
        """The only unit of the group."""
        (unit,) = self.units
        return unit


@dataclass
class Result:
    """What a stage made of a group of units.

    `rows` are tables by name, without `work_id`; when a group has several units, each table has a
    column `unit` that says whose a row is. `artifact` is the digest of what a corpus stage made.
    """

    rows: dict[str, pa.Table]
    counts: dict[str, Counts]
    artifact: str | None = None


@dataclass(frozen=True)
class Context:
    """What `setup` and `run` may use besides their inputs."""

    lake: Path
    config: Config
    cycle: int
    query: Callable[..., pa.Table]
    batches: Callable[..., Iterator[pa.RecordBatch]]
    progress: Progress = field(default=lambda *_: None)


class Stage(ABC):
    """One step of the cycle.

    `inputs` are queries; the parameter `$units` holds the ids of the group's units. The runner owns
    batching, progress, timing, retries and writing; `setup` builds the model once per worker.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    doc: ClassVar[str]
    unit: ClassVar[Literal["shard", "tag", "corpus"]] = "shard"
    pool_from: ClassVar[int] = 4  # groups from which a pool of processes is worth its start
    reads: ClassVar[tuple[str, ...]]
    writes: ClassVar[tuple[str, ...]]
    inputs: ClassVar[Mapping[str, str]]
    sections: ClassVar[tuple[str, ...]]
    files: ClassVar[tuple[str, ...]] = ()
    """Settings that name files: `identity` holds what is in them, and where they lie is nothing."""
    pinned: ClassVar[bool] = False
    """A pinned stage runs once and is reused when new shards come, until it is forced."""
    edited: ClassVar[bool] = False
    """Whether people change what a pinned stage made, under its fingerprint: the newest change is
    then what that fingerprint stands for."""
    seeded: ClassVar[bool] = False
    """Whether the stage makes random choices: only then the seed is part of its fingerprint."""
    group: ClassVar[int] = 1
    """Sum of the units' sizes per call of `run`, of which a larger unit has one of its own; fixed,
    so that cuts never depend on the number of workers."""

    def __init__(self, config: Config, cycle: int) -> None:
        self.config = config
        self.cycle = cycle

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the units of a corpus stage: what can be done side by side, and again."""
        return ("corpus",)

    def identity(self) -> dict[str, Any]:
        """What else the fingerprint covers: digests of parsers, encoders and the like."""
        return {}

    def check(self) -> None:  # noqa: B027 - optional by design
        """Raise where the settings name what is not there; called before a run is recorded."""

    def setup(self, context: Context) -> None:  # noqa: B027 - optional by design
        """Build what `run` needs; called once per worker."""

    @abstractmethod
    def run(self, batch: Batch, context: Context) -> Result:
        """Turn the group's inputs into rows, rejects among them."""
