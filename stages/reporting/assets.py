"""What the report shows of a model: pictures and sounds in a folder, described by assets.json."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stages.core import files
from stages.core.errors import InputError

INDEX = "assets.json"


@dataclass(frozen=True)
class Asset:
    """A thing that the report shows: facts, and the files that they mention."""

    kind: Literal["gallery", "sound", "adversarial"]
    facts: Mapping[str, Any]
    """Facts about the asset, as JSON has them; they mention files by their names."""
    files: Mapping[str, bytes]
    """Contents of the asset's files, PNG or FLAC, by name."""


def write(folder: Path, assets: Iterable[Asset]) -> None:
    """Write the assets of a model; older ones are replaced."""
    with files.replacing(folder) as partial:
        partial.mkdir()
        shown = list(assets)
        for name, content in (pair for each in shown for pair in each.files.items()):
            (partial / name).write_bytes(content)
        index = [{"kind": each.kind, "facts": each.facts, "files": sorted(each.files)} for each in shown]
        (partial / INDEX).write_text(json.dumps(index, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read(folder: Path, stage: str) -> list[Asset]:
    """Read the assets of a model.

    Raises:
        InputError: the assets are missing or damaged; the message names the stage to run again.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return [
            Asset(each["kind"], each["facts"], {name: (folder / name).read_bytes() for name in each["files"]})
            for each in index
        ]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder} cannot be read ({error}); run `dvc repro {stage}`") from None
