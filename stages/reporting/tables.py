"""Tables as CSV files, for plots."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from stages.core import files

NAMES = ("clip", "group", "source", "target", "actual", "predicted")
"""Columns that hold names."""


def write(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write each table into the folder as `<name>.csv`."""
    for name, table in tables.items():
        with files.replacing(folder / f"{name}.csv") as partial:
            table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6g")


def overlaid(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Lay the worst cases in L-infinity of both models over the budget side by side.

    Args:
        curves: fooling curves by model.
    """
    budgets = next(iter(curves.values())).budget
    return pd.DataFrame({"budget": budgets, **{model: curve.worst_linf for model, curve in curves.items()}})
