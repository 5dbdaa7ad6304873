"""Errors of the networks.

ModelError
├── UnreadableImage      bytes that are no picture, or a damaged one
└── CheckpointError      a checkpoint that does not fit: digest, encoder or label list
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of everything `model` raises on purpose: says what, the value, what to do."""


class UnreadableImage(ModelError):
    """The bytes are no picture, or a damaged one."""


class CheckpointError(ModelError):
    """The checkpoint does not fit what is asked of it."""
