"""What a table of the lake is: its columns, its key, what it is for."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa


def list_of(**fields: pa.DataType) -> pa.DataType:
    """The type of a list of structs."""
    return pa.list_(pa.struct([pa.field(name, kind) for name, kind in fields.items()]))


@dataclass(frozen=True)
class Table:
    """One table of the lake.

    `key` identifies a row among the current ones; `volatile` are the columns that are not content.
    """

    name: str
    doc: str
    schema: pa.Schema
    key: tuple[str, ...]
    volatile: tuple[str, ...] = field(default=())

    @property
    def content(self) -> tuple[str, ...]:
        """The columns that must be equal for equal input, config and seed."""
        return tuple(name for name in self.schema.names if name not in self.volatile)


def table(
    name: str,
    doc: str,
    key: tuple[str, ...],
    volatile: tuple[str, ...] = (),
    /,
    **columns: pa.DataType,
) -> Table:
    """A table of these columns and `work_id`, the ledger row that a row was committed with."""
    schema = pa.schema([pa.field(column, kind) for column, kind in columns.items()])
    return Table(name, doc, schema.append(pa.field("work_id", pa.string())), key, volatile)
