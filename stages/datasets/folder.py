"""Your own recordings: a folder for each class, or a table of paths and labels."""

from pathlib import Path, PurePosixPath
from typing import Annotated

import pandas as pd
from pydantic import Field

from stages.audio.decoding import is_sound
from stages.core.errors import InputError
from stages.core.params import Count
from stages.core.progress import log
from stages.datasets.base import Clip, Recordings, fold_making, sources, tables


class Folder(Recordings):
    """Recordings in a local folder, or in an archive of one.

    If a CSV file stands in the folder (or is itself the source), that table names the clips. Its columns are `path`,
    relative to the table, and `label`, and where you have them `fold` (from 1) and `group` (the recording that a clip
    was cut from). If there is no such file, the folders at the top are the classes, and all sounds in them, however
    deep, are their clips. Missing folds are made, by class and by whole groups. Without groups, every clip is its own.
    """

    folds: Annotated[Count, Field(ge=2, le=100)]

    def find(self, root: Path, seed: int) -> dict[Clip, Path]:
        """Find the clips of the table, or of the folders."""
        table = _table(root)
        top = _top(root) if table is None else table.parent
        rows = _walk(root) if table is None else _read(table)
        if rows.empty:
            raise InputError(f"dataset.source: {root} holds no clips: neither a CSV file nor folders with sound files")
        if "group" not in rows:
            rows = rows.assign(group=rows.path)
        if "fold" not in rows:
            rows = rows.assign(fold=fold_making.make(rows, self.folds, seed))
        return {
            Clip(row["path"], row["label"], int(row["fold"]), row["group"]): top / row["path"]
            for row in rows.to_dict("records")
        }


def _table(root: Path) -> Path | None:
    """Find the table of clips: the source itself if it is a CSV file, or the one at its top; None if there is none.

    Raises:
        InputError: there are several CSV files.
    """
    if root.is_file():
        return root
    top = _top(root)
    tables = sorted(path for path in top.glob("*.csv") if not _is_hidden(path.name))
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise InputError(f"dataset.source: {top} holds several CSV files ({names}): give the path of the one to use")
    return tables[0] if tables else None


def _top(root: Path) -> Path:
    """Go past the single folder that an archive often packs all others in, unless sounds lie directly in it."""
    inside = [path for path in root.iterdir() if not _is_hidden(path.name)]
    if len(inside) == 1 and inside[0].is_dir():
        deeper = [path for path in inside[0].iterdir() if not _is_hidden(path.name)]
        if any(map(Path.is_dir, deeper)) and not any(map(is_sound, deeper)):
            return _top(inside[0])
    return root


def _walk(root: Path) -> pd.DataFrame:
    top, rows, others = _top(root), [], []
    for path in sorted(top.rglob("*")):
        relative = path.relative_to(top)
        if not path.is_file() or any(map(_is_hidden, relative.parts)) or relative.as_posix() == sources.README:
            continue
        if len(relative.parts) > 1 and is_sound(path):
            rows.append((relative.as_posix(), relative.parts[0]))
        else:
            others.append(relative.as_posix())
    if others:
        log(f"{top}: {len(others)} files are in no class's folder or no sound by their names, so unused: {others[0]} …")
    return pd.DataFrame(rows, columns=["path", "label"])


def _read(table: Path) -> pd.DataFrame:
    rows = tables.read(table, ["path", "label"], optional=("fold", "group"))
    rows = rows.assign(path=[PurePosixPath(path).as_posix() for path in rows.path])
    return rows.sort_values("path", ignore_index=True)


def _is_hidden(name: str) -> bool:
    """Tell whether a file or folder of that name is one that systems keep to themselves."""
    return name.startswith(".") or name == "__MACOSX"
