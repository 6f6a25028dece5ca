"""Published archives: where they are, and whether a copy is what was published."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urldefrag

import pandas as pd
import pooch

from stages.console import InputError, say

MANIFESTS = Path(__file__).parent / "datasets/manifests"


@dataclass(frozen=True)
class Publication:
    """An archive on the net."""

    title: str
    address: str
    size: int
    """In bytes, about; where the archive is made anew by its server, the size may differ a little."""
    hash: str
    """Such as `sha256:...` or `md5:...`."""
    licence: str
    citation: str
    manifest: str
    """Name of the table of its files' MD5 hashes, in `stages/datasets/manifests`."""


def matches(file: Path, hash_: str) -> bool:
    """Whether a file has the hash, such as `sha256:...`."""
    algorithm, _, digest = hash_.partition(":")
    return bool(pooch.file_hash(str(file), alg=algorithm) == digest.lower())


def require_pinned(file: Path, address: str) -> None:
    """Check a download against the hash that its address may end in, such as `#sha256:...`.

    Raises:
        InputError: the hash is another one, or none that can be checked; the file is removed.
    """
    pin = urldefrag(address).fragment
    if not pin:
        return
    if pin.partition(":")[0] not in {"md5", "sha1", "sha256", "sha512"}:
        raise InputError(f"{address}: what follows # must be a hash such as sha256:..., found {pin!r}")
    if not matches(file, pin):
        file.unlink()
        raise InputError(f"{address}: what was fetched does not have the hash {pin}; it was removed")


def verify(archive: Path, found: Iterable[Path], publication: Publication) -> None:
    """Compare an archive with the published one: by its hash, and where that differs file by file.

    A part of the published set, or a changed copy of a part, is taken as what it is, with a note.

    Args:
        archive: the file.
        found: the files in it that are used.
        publication: what it should be.

    Raises:
        InputError: every published file is there, but one differs; it is named.
    """
    if matches(archive, publication.hash):
        return
    published = pd.read_csv(MANIFESTS / f"{publication.manifest}.csv").set_index("name").md5
    same: list[str] = []
    other: list[str] = []
    for file in found:
        right = published.get(file.name) == pooch.file_hash(str(file), alg="md5")
        (same if right else other).append(file.name)
    if other and set(published.index) <= {*same, *other}:
        raise InputError(f"{archive}: {other[0]} is not the file that was published, nor are {len(other) - 1} others")
    say(
        f"{archive} is not the published archive of {publication.title}: "
        f"{len(same)} of the {len(published)} published files are in it unchanged, {len(other)} others are used too"
    )
