"""Which errors the command line prints as one line; all others are bugs and show a traceback."""

from __future__ import annotations


def expected_errors() -> tuple[type[Exception], ...]:
    """The bases of the project's exception tree (pipeline.errors documents it)."""
    from model.errors import ModelError
    from parsing.errors import ParsingError
    from pipeline.errors import PipelineError
    from storage.errors import StorageError

    return (PipelineError, StorageError, ParsingError, ModelError, OSError)


def one_line(error: Exception) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split())
