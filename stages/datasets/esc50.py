"""ESC-50: 2,000 environmental recordings of 50 classes, 5 s each, in 5 folds (Piczak 2015)."""

from pathlib import Path
from typing import ClassVar

from stages.datasets import Clip, Recordings, _esc50, require
from stages.fetching.publications import Publication


class ESC50(Recordings):
    """Read from its published layout."""

    clips: ClassVar[int] = 2000
    publication: ClassVar[Publication | None] = _esc50.PUBLICATION

    def find(self, root: Path, seed: int) -> dict[Clip, Path]:
        """Every row of `meta/esc50.csv`."""
        rows = _esc50.table(root)
        found = {} if rows is None else _esc50.clips(rows)
        require(found, str(root), "ESC-50: it holds no clips in meta/esc50.csv")
        return found
