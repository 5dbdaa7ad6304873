"""Errors of the networks.

ModelError
├── UnreadableImage      bytes that are no picture, or a damaged one
├── CheckpointError      a checkpoint that does not fit: digest, encoder or label list
└── TrainingError        a training run that cannot go on; the last state saved is whole
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of everything `model` raises on purpose: says what, the value, what to do."""


class UnreadableImage(ModelError):
    """The bytes are no picture, or a damaged one."""


class CheckpointError(ModelError):
    """The checkpoint does not fit what is asked of it."""


class TrainingError(ModelError):
    """Training cannot go on; what was saved last is whole, and the run can be resumed from it."""


def reason_of(error: Exception) -> str:
    """What another library's error begins with; torch goes on with advice, some of it bad."""
    words = next(iter(str(error).strip().splitlines()), "").split(". ")[0]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
