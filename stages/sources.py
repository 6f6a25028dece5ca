"""From `dataset.source` to a folder of files: a local folder, or an archive, local or on the net, unpacked."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stages import archives, downloads, files, paths, publications
from stages.console import InputError
from stages.publications import Publication

NOTHING = "dataset.source is no folder or archive on this machine\n"


@dataclass(frozen=True)
class Opened:
    """A source, as files."""

    root: Path
    """The folder to look in, or a table of clips."""
    archive: Path | None
    """That it was unpacked from, if any."""


@contextmanager
def opened(source: str, publication: Publication | None) -> Iterator[Opened]:
    """Give the folder that the source is or unpacks to; what was unpacked is removed at the end.

    Args:
        source: `dataset.source`: a path, an address, or empty for the published archive.
        publication: the published archive, if there is one.

    Raises:
        InputError: there is no such file, it is no archive, or it cannot be fetched or unpacked.
    """
    path = locate(source, publication)
    if path.is_dir() or path.suffix == ".csv":
        yield Opened(path, None)
        return
    if not archives.is_archive(path):
        raise InputError(f"dataset.source: {path} is neither a folder, a CSV file nor a whole zip or tar archive")
    paths.RAW.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.RAW, prefix=".unpacked-") as folder:
        archives.extract(path, Path(folder))
        yield Opened(Path(folder), path)


def locate(source: str, publication: Publication | None) -> Path:
    """The local file or folder that the source is, fetched first if it is on the net."""
    if not source and publication is None:
        raise InputError("dataset.source is empty: it must be the path or address of your folder or archive")
    if source and not downloads.is_address(source):
        path = Path(source).expanduser()
        if not path.exists():
            raise InputError(f"dataset.source {source!r} does not exist: give a local folder, an archive or an address")
        return path
    address = source or (publication.address if publication else "")
    file = downloads.fetch(address, downloads.cache_folder())
    publications.require_pinned(file, address)
    return file


def watch(source: str) -> None:
    """Let DVC see the source: data/source becomes a link to it, or a note where it is none of this machine.

    DVC follows the link, so a change in a local folder or archive makes `download` run again.
    """
    path = Path(source).expanduser()
    local = bool(source) and not downloads.is_address(source) and path.exists()
    paths.SOURCE.parent.mkdir(parents=True, exist_ok=True)
    files.remove(paths.SOURCE)
    if local:
        paths.SOURCE.symlink_to((path.parent if path.suffix == ".csv" else path).absolute())
    else:
        paths.SOURCE.write_text(NOTHING, encoding="utf-8")
