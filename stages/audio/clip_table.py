"""The table of clips, data/raw/clips.csv."""

from pathlib import Path

import pandas as pd

from stages.core import files
from stages.core.errors import InputError

COLUMNS = ["path", "label", "fold", "group", "duration"]
"""Columns of the table: path relative to data/raw, class, fold, original recording, seconds."""


def write(path: Path, rows: list[tuple[str, str, int, str, float]]) -> pd.DataFrame:
    """Write the clips, sorted by path, and return them as a table."""
    table = pd.DataFrame(sorted(rows), columns=COLUMNS)
    with files.replacing(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")
    return table


def read(path: Path) -> pd.DataFrame:
    """Read the table of clips that `download` wrote.

    Raises:
        InputError: the table is missing, empty or has other columns.
    """
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro download`")
    table = pd.read_csv(path, dtype={"path": str, "label": str, "group": str}, keep_default_na=False)
    if list(table.columns) != COLUMNS or table.empty:
        raise InputError(f"{path} must have clips in the columns {', '.join(COLUMNS)}; run `dvc repro download`")
    return table
