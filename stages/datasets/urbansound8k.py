"""UrbanSound8K: 8,732 recordings of city sounds, 10 classes, at most 4 s each, in 10 folds (Salamon et al. 2014)."""

from pathlib import Path
from typing import ClassVar

from stages.datasets.base import Clip, Recordings, require, tables
from stages.datasets.base.publications import Publication


class UrbanSound8K(Recordings):
    """UrbanSound8K, read from its published layout: `metadata/UrbanSound8K.csv` and `audio/fold<k>/`."""

    clips: ClassVar[int] = 8732
    publication: ClassVar[Publication | None] = Publication(
        title="UrbanSound8K",
        address="https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz?download=1",
        hash="md5:9aa69802bbf37fb986f71ec1483a196e",
        licence="CC BY-NC 3.0",
        citation="J. Salamon, C. Jacoby, J. P. Bello: A Dataset and Taxonomy for Urban Sound Research, "
        "ACM Multimedia 2014",
        manifest="urbansound8k",
    )

    def find(self, root: Path, seed: int) -> dict[Clip, Path]:
        """Find the clip of every row of the table; the group is the Freesound recording that it was cut from."""
        tables = sorted(root.rglob("metadata/UrbanSound8K.csv"))
        found = _clips(tables[0]) if tables else {}
        require(found, str(root), "UrbanSound8K: it holds no clips in metadata/UrbanSound8K.csv")
        return found


def _clips(table: Path) -> dict[Clip, Path]:
    audio = table.parent.parent / "audio"
    found = {}
    for row in tables.read(table, ["slice_file_name", "fsID", "fold", "class"]).to_dict("records"):
        path = f"fold{row['fold']}/{row['slice_file_name']}"
        found[Clip(path, row["class"], int(row["fold"]), row["fsID"])] = audio / path
    return found
