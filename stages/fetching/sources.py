"""From `dataset.source` to a folder of files: a local folder, or an archive, local or on the net, unpacked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stages import files, paths
from stages.console import InputError
from stages.fetching import archives, downloads, publications
from stages.fetching.archives import DamagedError
from stages.fetching.publications import Publication

NOTHING = ".none"
"""A note beside data/source, which is a link to it where `dataset.source` is no folder or archive of this machine."""


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
    folder = paths.RAW / ".unpacked"
    files.remove(folder)
    try:
        if not archives.is_archive(path):
            raise DamagedError(f"dataset.source: {path} is neither a folder, a CSV file nor a whole zip or tar archive")
        archives.extract(path, folder)
        yield Opened(folder, path)
    except DamagedError as error:
        if downloads.cache_folder() not in path.parents:
            raise
        path.unlink()
        raise InputError(f"{error}; this copy was removed, run again to fetch another") from None
    finally:
        files.remove(folder)


def locate(source: str, publication: Publication | None) -> Path:
    """The local file or folder that the source is, fetched first if it is on the net."""
    if not source and publication is None:
        raise InputError("dataset.source is empty: it must be the path or address of your folder or archive")
    if source and not downloads.is_address(source):
        return _local(source)
    address = source or (publication.address if publication else "")
    pin = publications.pin(address)
    file = downloads.fetch(address, downloads.cache_folder())
    if pin and not publications.matches(file, pin):
        file.unlink()
        raise InputError(f"{address}: what was fetched does not have this hash; it was removed")
    return file


def _local(source: str) -> Path:
    try:
        path = Path(source).expanduser()
        there = path.exists()
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(f"dataset.source {source!r} is no path: {error}") from None
    if not there:
        raise InputError(f"dataset.source {source!r} does not exist: give a local folder, an archive or an address")
    if (watched := _watched(path)) in [Path.cwd(), *Path.cwd().parents]:
        raise InputError(f"dataset.source: {watched} holds this repository too: give the sounds a folder of their own")
    return path


def _watched(path: Path) -> Path:
    """Where changes matter: beside a table lie its clips."""
    return (path.parent if path.suffix == ".csv" else path).resolve()


def watch(source: str) -> None:
    """Let DVC see the source: data/source becomes a link to it, or to a note where it is none of this machine.

    DVC follows the link, so a change in a local folder or archive makes `download` run again. It is always a link: a
    file in its place, as git keeps it, would be written through the link, over the source, by `dvc exp run`.
    """
    path = Path(source).expanduser()
    local = bool(source) and not downloads.is_address(source) and path.exists()
    paths.SOURCE.parent.mkdir(parents=True, exist_ok=True)
    files.remove(paths.SOURCE)
    paths.SOURCE.symlink_to(_watched(path) if local else NOTHING)
