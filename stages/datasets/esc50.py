"""ESC-50: 2,000 environmental recordings of 50 classes, 5 s each, in 5 folds (Piczak 2015)."""

from pathlib import Path
from typing import ClassVar

from stages.datasets.base import Clip, Recordings, esc50_layout, require
from stages.datasets.base.publications import Publication


class ESC50(Recordings):
    """ESC-50, read from its published layout."""

    clips: ClassVar[int] = 2000
    publication: ClassVar[Publication | None] = esc50_layout.PUBLICATION

    def find(self, root: Path, seed: int) -> dict[Clip, Path]:
        """Find the clip of every row of `meta/esc50.csv`."""
        rows = esc50_layout.table(root)
        found = {} if rows is None else esc50_layout.clips(rows)
        require(found, str(root), "ESC-50: it holds no clips in meta/esc50.csv")
        return found
