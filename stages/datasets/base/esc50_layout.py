"""ESC-50's layout: `meta/esc50.csv` and `audio/`."""

from pathlib import Path

import pandas as pd

from stages.datasets.base import Clip, tables
from stages.datasets.base.publications import Publication

PUBLICATION = Publication(
    title="ESC-50",
    address="https://github.com/karolpiczak/ESC-50/archive/33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6.zip",
    hash="sha256:661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f",
    licence="CC BY-NC 3.0; its ESC-10 part CC BY 3.0",
    citation="K. J. Piczak: ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015",
    manifest="esc50",
)


def table(root: Path) -> pd.DataFrame | None:
    """Read the rows of `meta/esc50.csv`, with the column `file` added; None where there is no such table."""
    found = sorted(root.rglob("meta/esc50.csv"))
    if not found:
        return None
    rows = tables.read(found[0], ["filename", "fold", "category", "esc10", "src_file"])
    audio = found[0].parent.parent / "audio"
    return rows.assign(file=[audio / name for name in rows.filename])


def clips(rows: pd.DataFrame) -> dict[Clip, Path]:
    """Turn rows of the table into clips and their files; the group is the Freesound recording."""
    return {
        Clip(f"{row['category']}/{row['filename']}", row["category"], int(row["fold"]), row["src_file"]): row["file"]
        for row in rows.to_dict("records")
    }
