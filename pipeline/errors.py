"""The errors of the whole project, which `flows.cli` turns into one line and an exit code.

PipelineError                  here
├── ConfigError                a config file or setting that cannot be used
├── SourceError                a source that cannot be ingested at all
│   └── UnreadableUri          one image that cannot be read (pipeline.readers)
├── ExportError                an export that cannot be written (pipeline.exporters)
├── PlanError                  stages that do not fit together
├── WorkerKilled               a worker process ended before its work was done
├── ImbalanceError             a stage lost rows: in != kept + dropped + rejected
└── HarmError                  cleaning would harm a tag, so it is not published
StorageError                   storage.errors
ParsingError                   parsing.errors
ModelError                     model.errors
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of everything `pipeline` raises on purpose: says what, the value, what to do."""


class ConfigError(PipelineError):
    """A config file or setting that cannot be used; says which key and what would be right."""


class SourceError(PipelineError):
    """A source that cannot be ingested at all."""


class PlanError(PipelineError):
    """Stages that do not fit together, or an unknown name."""


class WorkerKilled(PipelineError):
    """A worker process ended before its work was done, as when the system lacks memory."""


class ImbalanceError(PipelineError):
    """A stage's output does not account for its input."""


class HarmError(PipelineError):
    """Cleaning loses too many right ones of a tag, as the certificate shows."""
