"""Published archives: where they are, and whether a copy is what was published."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urldefrag

import pandas as pd
import pooch

from stages.core.errors import InputError
from stages.core.progress import log
from stages.datasets.base.archives import DamagedError

MANIFESTS = Path(__file__).parents[1] / "manifests"


@dataclass(frozen=True)
class Publication:
    """An archive that is published on the net."""

    title: str
    address: str
    hash: str
    """Hash of the archive, such as `sha256:...` or `md5:...`."""
    licence: str
    citation: str
    manifest: str
    """Name of the table of MD5 hashes of the archive's files, in `stages/datasets/manifests`."""


def matches(file: Path, hash_: str) -> bool:
    """Tell whether a file has the hash, such as `sha256:...`."""
    algorithm, _, digest = hash_.partition(":")
    return bool(pooch.file_hash(str(file), alg=algorithm) == digest.lower())


def pin(address: str) -> str:
    """Read the hash that an address ends in, such as `#sha256:...`, or nothing.

    Raises:
        InputError: the address ends in something that is no hash that can be checked.
    """
    found = urldefrag(address).fragment
    if found and found.partition(":")[0] not in {"md5", "sha1", "sha256", "sha512"}:
        raise InputError(f"{address}: what follows # must be a hash such as sha256:..., found {found!r}")
    return found


def verify(archive: Path, root: Path, used: Iterable[Path], publication: Publication, *, strict: bool) -> None:
    """Compare an archive with the published one: by its hash, and where that differs file by file.

    Args:
        archive: the file.
        root: folder that it was unpacked into.
        used: files of the clips in it.
        publication: the publication that it should be.
        strict: True if a clip or table that differs is an error. Otherwise a part of the published set, perhaps changed
            on purpose, is taken as what it is, with a note.

    Raises:
        DamagedError: some file differs; it is named.
    """
    if matches(archive, publication.hash):
        return
    published = pd.read_csv(MANIFESTS / f"{publication.manifest}.csv").set_index("name").md5
    tables = (path for name in published.index if not name.endswith(".wav") for path in root.rglob(name))
    present = [file for file in (*used, *tables) if file.is_file()]
    other = [file.name for file in present if published.get(file.name) != pooch.file_hash(str(file), alg="md5")]
    if other and strict:
        raise DamagedError(f"{archive}: {other[0]} is not the file that was published, nor are {len(other) - 1} others")
    log(
        f"{archive} is not the published archive of {publication.title}: of the {len(published)} published files "
        f"{len(present) - len(other)} are in it unchanged; {len(other)} others are used too"
    )
