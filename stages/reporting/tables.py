"""The tables behind a model's metrics, as CSV files for plots."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages import files
from stages.evaluation import checks, rates
from stages.evaluation.checks import RULES, SIZES, Stores
from stages.stores import Integers

NAMES = ("clip", "source", "target", "actual", "predicted")
"""Columns that hold names."""


def of_model(
    metrics: Mapping[str, Any], found: Stores, classes: tuple[str, ...], predicted: Integers, eps: float
) -> dict[str, pd.DataFrame]:
    """Rates of the attacks, fooling curves, costs, checks, transfer, confusion, classes and targets, by name.

    Args:
        metrics: of the model.
        found: its adversarial stores, by attack.
        classes: their names.
        predicted: the classes that the model takes the clean clips for, shape (N,).
        eps: the budget of the rates.
    """
    names, first = np.array(classes), next(iter(found.values()))
    source, target = names[first.label], names[first.target]
    costs = {name: each.cost for name, each in found.items()}
    costs |= {name: checks.worst(found, size) for name, size in SIZES.items()}
    clips = {"clip": first.clip, "source": source, "target": target}
    return {
        "rates": pd.DataFrame([{"attack": name, **values} for name, values in metrics["adaptive"].items()]),
        "fooling": rates.curves(costs, first.eligible),
        "costs": _finite(pd.DataFrame({**clips, **costs})[first.eligible]),
        "checks": pd.DataFrame(
            [
                (name, value, metrics["check_figures"][name])
                for name, value in metrics["checks"].items()
                if name in RULES
            ],
            columns=["check", "holds", "figure"],
        ),
        "transfer": pd.DataFrame([{"source": name, **values} for name, values in metrics["transfer"].items()]),
        "confusion": pd.DataFrame({"actual": source, "predicted": names[predicted]}),
        "class_targets": rates.class_targets(costs["worst_linf"], first.eligible, source, target, eps),
    }


def _finite(table: pd.DataFrame) -> pd.DataFrame:
    """Empty cells where a clip was not fooled: no infinity in a table."""
    return table.replace(np.inf, np.nan)


def write(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write each table as `<name>.csv`."""
    for name, table in tables.items():
        with files.replacing(folder / f"{name}.csv") as partial:
            table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6g")


def overlaid(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The worst case in L-infinity of both models over the budget.

    Args:
        curves: fooling curves by model.
    """
    budgets = next(iter(curves.values())).budget
    return pd.DataFrame({"budget": budgets, **{model: curve.worst_linf for model, curve in curves.items()}})
