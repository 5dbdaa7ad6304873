"""Parse: captions become scene graphs and tag mentions."""

from __future__ import annotations

from typing import Any, ClassVar

from parsing.registry import make_parser
from pipeline.columns import table_of
from pipeline.stage import Batch, Context, Counts, Result, Stage

_CAPTIONS = """
    SELECT caption_id, image_id, source, text, shard_id FROM current_captions
    WHERE source = '{source}' AND list_contains($units, shard_id) ORDER BY caption_id
"""


class ParseCaptions(Stage):
    """Reads human captions."""

    name = "parse"
    doc = "captions -> scene graphs and mentions"
    reads = ("captions",)
    writes = ("scene_graphs", "mentions")
    inputs: ClassVar = {"captions": _CAPTIONS.format(source="original")}
    sections = ("parse",)

    def identity(self) -> dict[str, Any]:
        """The parser's version, rules and model."""
        parse = self.config.parse
        return {"parser": make_parser(parse.parser, model=parse.model).digest}

    def setup(self, context: Context) -> None:
        """Load the language model."""
        parse = self.config.parse
        self.parser = make_parser(parse.parser, model=parse.model)
        self.parser.setup()

    def run(self, batch: Batch, context: Context) -> Result:
        """One scene graph per caption, also for those that name nothing."""
        captions = batch["captions"].to_pylist()
        graphs = self.parser.parse([row["text"] for row in captions])
        scene_graphs, mentions = [], []
        for row, graph in zip(captions, graphs, strict=True):
            of_caption = {key: row[key] for key in ("caption_id", "image_id", "source")}
            content = graph.to_dict()
            scene_graphs.append(of_caption | content | {"note": graph.note})
            mentions += [
                of_caption | {"surface": m.name, "kind": m.kind, "start": m.start, "end": m.end}
                for m in graph.mentions()
            ]
        rows = {
            "scene_graphs": table_of("scene_graphs", scene_graphs),
            "mentions": table_of("mentions", mentions),
        }
        return Result(rows, {batch.unit: Counts(len(captions), len(scene_graphs))})


class ParseGenerated(ParseCaptions):
    """Reads the captioner's captions with the same parser."""

    name = "parse-generated"
    doc = "generated captions -> scene graphs and mentions"
    inputs: ClassVar = {"captions": _CAPTIONS.format(source="generated")}
