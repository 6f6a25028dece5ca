"""Archives, unpacked without letting them write anywhere else."""

import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import IO

from stages.core import files
from stages.core.errors import InputError

MOST_FILES = 1_000_000
MOST_BYTES = 100 * 10**9
LARGEST_RATIO = 200
"""Largest ratio of unpacked to packed size, above the first 100 MB: sound does not shrink so much, bombs do."""
FREE_OF_RATIO = 10**8

DAMAGES = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
)
"""Errors that the libraries raise on archives that are cut off, encrypted or of unknown compression."""


class DamagedError(InputError):
    """The error that an archive is not what it should be; another copy of it may be."""


def is_archive(path: Path) -> bool:
    """Tell whether the file is a zip or a (compressed) tar."""
    try:
        return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))
    except DAMAGES:
        return False
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def extract(archive: Path, folder: Path) -> None:
    """Unpack the regular files of a zip or tar into a new folder.

    Raises:
        InputError: the archive is damaged, names a file twice or outside of the folder, holds links or devices, or is
            absurdly large.
    """
    opened = _zip_files if zipfile.is_zipfile(archive) else _tar_files
    count = size = 0
    limit = min(MOST_BYTES, FREE_OF_RATIO + LARGEST_RATIO * archive.stat().st_size)
    try:
        for name, length, file in opened(archive):
            count, size = count + 1, size + length
            if count > MOST_FILES or size > limit:
                raise InputError(f"{archive}: unpacks to more than {MOST_FILES} files or {limit} bytes; not unpacked")
            _write(archive, file, folder / _inside(archive, name), length)
    except DAMAGES as error:
        raise DamagedError(f"{archive} is damaged: {error}") from None
    except OSError as error:
        if files.is_disk_full(error):
            raise
        raise DamagedError(f"{archive} is damaged: {error}") from None


def is_inside(name: str) -> bool:
    """Tell whether a path that somebody else wrote leads nowhere but down, on Windows too."""
    path = PureWindowsPath(name)
    return bool(path.parts) and not path.anchor and ".." not in path.parts and "\0" not in name


def _inside(archive: Path, name: str) -> str:
    if not is_inside(name):
        raise InputError(f"{archive}: {name!r} would be written outside of its folder; not unpacked")
    return name.replace("\\", "/")


def _write(archive: Path, source: IO[bytes], target: Path, size: int) -> None:
    files.require_space(target.parent, size)
    try:
        with files.disk(target), target.open("xb") as copy:
            shutil.copyfileobj(source, copy)
    except FileExistsError:
        raise InputError(f"{archive}: {target.name!r} stands in it twice; not unpacked") from None
    if target.stat().st_size != size:
        raise DamagedError(f"{archive} is damaged: {target.name!r} ends early")


def _zip_files(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InputError(f"{archive}: {member.filename!r} is a link or device; not unpacked")
            if not member.is_dir():
                with opened.open(member) as file:
                    yield member.filename, member.file_size, file


def _tar_files(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            if not (member.isreg() or member.isdir()):
                raise InputError(f"{archive}: {member.name!r} is a link or device; not unpacked")
            file = opened.extractfile(member)
            if file is not None:
                yield member.name, member.size, file
