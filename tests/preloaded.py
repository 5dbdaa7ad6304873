"""What the server of `tests/processes.py` imports and reads once, before it forks any command."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from parsing import wordnet

MODULES = (
    "flows.labels",
    "flows.models",
    "flows.progress",
    "flows.show",
    "nltk",
    "parsing.scene_graph",
    "pipeline.assess",
    "pipeline.demo",
    "pipeline.labels",
    "sklearn.isotonic",
    "sklearn.linear_model",
    "sklearn.metrics",
    "spacy",
    "storage.sql",
    "torch._dynamo",
    "transformers.models.bert.modeling_bert",
    "transformers.models.bert.tokenization_bert",
)

for name in MODULES:
    import_module(name)
# Others import it where it is installed.
with suppress(ImportError):
    import_module("pandas")
wordnet.reader()
