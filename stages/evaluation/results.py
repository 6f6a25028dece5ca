"""The metric files: JSON, keys sorted, without NaN."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.core import files
from stages.core.errors import InputError

Metrics = dict[str, Any]
"""Metrics: nested mappings of numbers."""


def read(path: Path) -> Metrics:
    """Read the metrics of a file.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        found: Metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run `dvc repro`") from None
    return found


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write metrics; NaN is an error."""
    with files.replacing(path) as partial:
        partial.write_text(json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
