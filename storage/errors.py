"""Errors of the lake; the command line prints them as one line.

StorageError
├── NotALake         the folder holds no lake
├── NewerLake        the lake was written by a newer version
├── RefusedSQL       a statement that is not a plain query over the lake
├── BadSQL           a query that DuckDB cannot run
└── DiskFull         no space left while writing
"""

from __future__ import annotations


class StorageError(Exception):
    """Base of everything `storage` raises on purpose: says what, the value, what to do."""


class NotALake(StorageError):
    """The folder holds no lake."""


class NewerLake(StorageError):
    """The lake was written by a newer version of Tagwright."""


class RefusedSQL(StorageError):
    """The statement is not a plain query over the lake's own tables."""


class BadSQL(StorageError):
    """DuckDB cannot run the query."""


class DiskFull(StorageError):
    """No space is left where the lake writes."""
