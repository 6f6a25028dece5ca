"""From `dataset.source` to a folder of files: a local folder, or an archive, local or on the net, unpacked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stages.core import files, paths
from stages.core.errors import InputError
from stages.core.progress import log
from stages.datasets.base import archives, downloads, publications
from stages.datasets.base.archives import DamagedError
from stages.datasets.base.publications import Publication

README = "README.md"
"""Name of the file that data/source holds from the start."""


@dataclass(frozen=True)
class Opened:
    """A source of recordings, as files."""

    root: Path
    """Folder to look in, or a table of clips."""
    archive: Path | None
    """Archive that the folder was unpacked from, if any."""


@contextmanager
def opened(source: str, publication: Publication | None) -> Iterator[Opened]:
    """Yield the folder that the source is or unpacks to; what was unpacked is removed at the end.

    Args:
        source: a path, an address, or empty for the published archive.
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


def given(source: str) -> str:
    """Return the source that the user gave.

    Of the folder `data/source` it is what was put there: nothing, a lone folder or archive, or else the folder itself.
    """
    if Path(source) != paths.SOURCE:
        return source
    inside = paths.SOURCE.iterdir() if paths.SOURCE.is_dir() else ()
    found = [entry for entry in inside if entry.name != README and not entry.name.startswith(".")]
    if len(found) == 1 and (found[0].is_dir() or archives.is_archive(found[0])):
        return str(found[0])
    return source if found else ""


def locate(source: str, publication: Publication | None) -> Path:
    """Find the local file or folder that the source is; fetch it first if it is on the net."""
    if not source and publication is None:
        raise InputError(
            f"dataset.source: give the path or address of your folder or archive, or put it into {paths.SOURCE}"
        )
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
    # Beside a table lie its clips.
    folder = (path.parent if path.suffix == ".csv" else path).resolve()
    if folder in [Path.cwd(), *Path.cwd().parents]:
        raise InputError(f"dataset.source: {folder} holds this repository too: give the sounds a folder of their own")
    if path.suffix == ".csv" and paths.SOURCE not in path.parents:
        log(f"dataset.source: DVC watches {path} alone; name its folder to have changes of the sounds noticed too")
    return path
