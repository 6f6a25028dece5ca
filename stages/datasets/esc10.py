"""ESC-10: 400 environmental recordings of 10 classes, 5 s each, in 5 folds (Piczak 2015).

It is published as a part of ESC-50, the rows with `esc10` True, under CC BY 3.0. Its own older layout,
`NNN - Class name/<fold>-<recording>-<take>.ogg`, is read too.
"""

import re
from pathlib import Path
from typing import ClassVar

from stages.datasets.base import Clip, Recordings, esc50_layout, require
from stages.datasets.base.publications import Publication

CLASS_FOLDER = re.compile(r"\d{3} - (?P<label>.+)")
RECORDING = re.compile(r"(?P<fold>[1-5])-(?P<group>\d+)-[A-Z]\.(ogg|wav)")


class ESC10(Recordings):
    """ESC-10, read from either layout."""

    clips: ClassVar[int] = 2000
    publication: ClassVar[Publication | None] = esc50_layout.PUBLICATION

    def find(self, root: Path, seed: int) -> dict[Clip, Path]:
        """Find the clips of either layout; the group is the Freesound recording."""
        rows = esc50_layout.table(root)
        found = _own_layout(root) if rows is None else esc50_layout.clips(rows[rows.esc10 == "True"])
        expected = "ESC-10: it holds neither meta/esc50.csv nor folders such as '001 - Dog bark' with files such as "
        require(found, str(root), f"{expected}1-100032-A.ogg")
        return found


def _own_layout(root: Path) -> dict[Clip, Path]:
    found = {}
    for path in sorted(root.rglob("*")):
        folder, name = CLASS_FOLDER.fullmatch(path.parent.name), RECORDING.fullmatch(path.name)
        if folder and name:
            label = folder["label"].lower().replace(" ", "_")
            found[Clip(f"{label}/{path.name}", label, int(name["fold"]), name["group"])] = path
    return found
