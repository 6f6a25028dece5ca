"""Archives, unpacked without letting them write anywhere else."""

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from stages import files
from stages.console import InputError

MOST_FILES = 1_000_000
MOST_BYTES = 100 * 10**9


def is_archive(path: Path) -> bool:
    """Whether the file is a zip or a (compressed) tar."""
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def extract(archive: Path, folder: Path) -> None:
    """Unpack the regular files of a zip or tar into a new folder.

    Raises:
        InputError: the archive is damaged, names a file outside of the folder, holds links or devices, or is absurdly
            large.
    """
    opened = _zip_files if zipfile.is_zipfile(archive) else _tar_files
    count = size = 0
    try:
        for name, length, file in opened(archive):
            count, size = count + 1, size + length
            if count > MOST_FILES or size > MOST_BYTES:
                raise InputError(f"{archive}: more than {MOST_FILES} files or {MOST_BYTES} bytes; not unpacked")
            _write(file, folder / _inside(archive, name), length)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise InputError(f"{archive} is damaged: {error}") from None


def _inside(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise InputError(f"{archive}: {name!r} would be written outside of its folder; not unpacked")
    return path


def _write(source: IO[bytes], target: Path, size: int) -> None:
    files.require_space(target.parent, size)
    with target.open("xb") as copy:
        shutil.copyfileobj(source, copy)


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
