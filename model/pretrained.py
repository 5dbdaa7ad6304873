"""Networks of transformers from local folders: whole or refused, never downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from model.errors import ModelError


def open_pretrained(folder: Path, model_class: Any, what: str) -> Any:
    """A frozen model of transformers.

    Raises:
        ModelError: there is none of that class, or not all of its weights; `what` it should be is
            said.
    """
    try:
        # Without it other sizes are a RuntimeError that names no weight.
        model, found = model_class.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder}: no {what} ({' '.join(str(error).split())})") from error
    # transformers gives these random numbers, and no more than a warning.
    wrong = sorted(found["missing_keys"] | {key for key, *_ in found["mismatched_keys"]})
    if wrong:
        raise ModelError(
            f"{folder}: no whole {what}: weights missing or of another size: {len(wrong)}, such "
            f"as {wrong[0]}; name a complete folder of that model"
        )
    return model.eval().requires_grad_(False)
