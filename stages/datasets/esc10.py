"""ESC-10: 400 environmental recordings of 10 classes, 5 s each, in 5 folds (Piczak 2015).

Source: a folder or archive in ESC-10's own layout (`NNN - Class name/<fold>-<recording>-<take>.ogg`) or in that of
ESC-50 (`meta/esc50.csv`, `audio/`), of which it is the rows with `esc10` True. Licence: CC BY 3.0.
Citation: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from stages import archives, files
from stages.console import InputError
from stages.datasets import Clip, Dataset

CLASS_FOLDER = re.compile(r"\d{3} - (?P<label>.+)")
RECORDING = re.compile(r"(?P<fold>[1-5])-(?P<group>\d+)-[A-Z]\.(ogg|wav)")


class ESC10(Dataset):
    """Read from a local folder or archive."""

    def collect(self, source: str, seed: int, audio: Path) -> list[Clip]:
        """Copy the clips of either layout; the group is the Freesound recording."""
        with _folder(source) as root:
            found = dict(_from_esc50(root) or _from_esc10(root))
            if not found:
                raise InputError(
                    f"dataset.source {source!r} is not ESC-10: it holds neither meta/esc50.csv nor folders such as "
                    "'001 - Dog bark' with files such as 1-100032-A.ogg"
                )
            files.require_space(audio, sum(_size(original) for original in found.values()))
            for clip, original in found.items():
                (audio / clip.path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(original, audio / clip.path)
        return list(found)


@contextmanager
def _folder(source: str) -> Iterator[Path]:
    if not source:
        raise InputError("dataset.source is empty: dataset esc10 needs the path of a local folder or archive of it")
    path = Path(source).expanduser()
    if path.is_dir():
        yield path
    elif not path.exists():
        raise InputError(f"dataset.source {source!r} does not exist: give a local folder or archive of ESC-10")
    elif not archives.is_archive(path):
        raise InputError(f"dataset.source {source!r} is neither a folder nor a zip or tar archive")
    else:
        with tempfile.TemporaryDirectory(dir=".", prefix=".unpacked-") as unpacked:
            archives.extract(path, Path(unpacked))
            yield Path(unpacked)


def _from_esc10(root: Path) -> list[tuple[Clip, Path]]:
    found = []
    for path in sorted(root.rglob("*")):
        folder, name = CLASS_FOLDER.fullmatch(path.parent.name), RECORDING.fullmatch(path.name)
        if folder and name:
            label = folder["label"].lower().replace(" ", "_")
            found.append((Clip(f"{label}/{path.name}", label, int(name["fold"]), name["group"]), path))
    return found


def _from_esc50(root: Path) -> list[tuple[Clip, Path]]:
    tables = sorted(root.rglob("meta/esc50.csv"))
    if not tables:
        return []
    rows = pd.read_csv(tables[0], dtype=str)
    audio = tables[0].parent.parent / "audio"
    found = []
    for row in rows[rows.esc10 == "True"].to_dict("records"):
        label, name = row["category"], row["filename"]
        found.append((Clip(f"{label}/{name}", label, int(row["fold"]), row["src_file"]), audio / name))
    return found


def _size(original: Path) -> int:
    try:
        return original.stat().st_size
    except FileNotFoundError:
        raise InputError(f"{original} is named by meta/esc50.csv but is not there") from None
