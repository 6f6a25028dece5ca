"""The metric files: JSON, keys sorted, without NaN; the headline, and the details beside it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stages.core import files
from stages.core.errors import InputError
from stages.evaluation.rules import RULES

Metrics = dict[str, Any]
"""Metrics: nested mappings of numbers."""

HEADLINE: Mapping[str, frozenset[str]] = {
    "clean": frozenset({"clips", "accuracy", "accuracy_low", "accuracy_high"}),
    "adaptive": frozenset(
        {
            "eligible",
            "fooling_rate",
            "fooling_rate_low",
            "fooling_rate_high",
            "fooling_ceiling",
            "cost_median",
            "eps90",
            "snr_median",
            "snr90",
        }
    ),
    "untargeted": frozenset(
        {
            "robust_accuracy",
            "robust_accuracy_low",
            "robust_accuracy_high",
            "robust_accuracy_at_training_eps",
            "snr_median",
        }
    ),
    "transferred": frozenset({"fooling_rate"}),
    "checks": frozenset({*RULES, "passed"}),
}
"""The parts of the headline, few enough to be read in a terminal, and the numbers of each."""


def headline(metrics: Mapping[str, Any]) -> Metrics:
    """Pick the numbers that metrics are judged by.

    Args:
        metrics: all metrics of a model.

    Example:
        >>> headline({"clean": {"accuracy": 0.9}, "rendered": {"clips": 16}})
        {'clean': {'accuracy': 0.9}}
    """
    return {name: _chosen(metrics[name], keys.__contains__) for name, keys in HEADLINE.items() if name in metrics}


def details(metrics: Mapping[str, Any]) -> Metrics:
    """Pick all other numbers: further intervals, the effort of attacks, channels, the figures of the checks."""
    found = {name: _left_out(part, HEADLINE.get(name, frozenset())) for name, part in metrics.items()}
    return {name: part for name, part in found.items() if part}


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


def _left_out(values: Mapping[str, Any], keys: frozenset[str]) -> Metrics:
    return _chosen(values, lambda name: name not in keys)


def _chosen(values: Mapping[str, Any], keep: Callable[[str], bool]) -> Metrics:
    """Keep some numbers; a mapping that nothing is left of goes, one that was empty stays."""
    found: Metrics = {}
    for name, value in values.items():
        if not isinstance(value, Mapping):
            found |= {name: value} if keep(name) else {}
        elif (inner := _chosen(value, keep)) or not value:
            found[name] = inner
    return found
