"""A label system from a file of captions, without a lake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from parsing.labels import LabelSystem
from parsing.registry import make_parser
from pipeline.config import Config
from pipeline.errors import PlanError
from pipeline.label import BuildLabels
from pipeline.reporting import Reporter
from storage.lake import connect

# What the queries of the label stage read; here each caption is an image of its own.
_MENTIONS = pa.schema([("caption_id", pa.int64()), ("surface", pa.string()), ("kind", pa.string())])
_TABLES = """
    CREATE TABLE said (caption_id BIGINT, surface VARCHAR, kind VARCHAR);
    CREATE VIEW current_mentions AS
        SELECT *, caption_id AS image_id, 'original' AS source FROM said;
    CREATE VIEW current_images AS
        SELECT DISTINCT caption_id AS image_id, 'train' AS split FROM said
"""


def build_from_captions(
    batches: Iterable[Sequence[str]], config: Config, reporter: Reporter
) -> LabelSystem:
    """The label system that a lake with these captions would get.

    Raises:
        PlanError: no caption names anything.
    """
    stage = BuildLabels(config, cycle=1)
    stage.check()
    parser = make_parser(config.parse.parser, model=config.parse.model)
    with connect() as connection:
        connection.execute(_TABLES)

        def query(sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
            return connection.execute(sql, parameters).to_arrow_table()

        read = 0
        with reporter.stage("parse", 0) as advance:
            for batch in batches:
                graphs = enumerate(parser.parse(batch), start=read)
                mentions = chain.from_iterable(
                    ((number, m.name, m.kind) for m in graph.mentions()) for number, graph in graphs
                )
                rows = [dict(zip(_MENTIONS.names, m, strict=True)) for m in mentions]
                connection.register("batch", pa.Table.from_pylist(rows, schema=_MENTIONS))
                connection.execute("INSERT INTO said SELECT * FROM batch")
                read += len(batch)
                advance(len(batch))
        counted = query(stage.inputs["counts"])
        if not len(counted):
            raise PlanError(f"none of {read} captions names anything: one caption a line is read")
        return stage.extended(None, counted, query)
