"""The tables that data sets name their clips in."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from stages.core import files
from stages.core.errors import InputError

FOLD = re.compile(r"[1-9][0-9]{0,3}")


def read(file: Path, required: list[str], optional: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read some columns of a CSV file, as text; none of their fields is empty.

    Args:
        file: table with a header, in UTF-8.
        required: columns that must be there.
        optional: columns that are read where they are there.

    Raises:
        InputError: the file cannot be read, lacks a column, or has a line with too many, too few or empty fields, or a
            fold (in a column of that name) that is no integer from 1.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened, strict=True)
            header, lines = list(reader.fieldnames or []), list(reader)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{file} cannot be read as a table: {error}") from None
    if missing := [name for name in required if name not in header]:
        raise InputError(f"{file} lacks the columns {', '.join(missing)}; found {', '.join(header) or 'nothing'}")
    columns = [*required, *(name for name in optional if name in header)]
    for number, line in enumerate(lines, start=2):
        _check(f"{file}, line {number}", line, columns)
    return pd.DataFrame([[line[name] for name in columns] for line in lines], columns=columns, dtype=str)


def _check(where: str, line: dict[str | None, str | None], columns: list[str]) -> None:
    if None in line:
        raise InputError(f"{where} has more fields than the table has columns")
    for name in columns:
        if not (line[name] or "").strip():
            raise InputError(f"{where}: {name} is empty")
    if "fold" in columns and not FOLD.fullmatch(line["fold"] or ""):
        raise InputError(f"{where}: fold must be an integer from 1, found {line['fold']!r}")


def write_rejected(file: Path, rejected: Mapping[str, str]) -> None:
    """Write the clips that cannot be used, with the reasons; write the header alone where there are none."""
    with files.replacing(file) as partial:
        table = pd.DataFrame(sorted(rejected.items()), columns=["path", "reason"])
        table.to_csv(partial, index=False, lineterminator="\n")
