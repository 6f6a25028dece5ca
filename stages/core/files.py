"""Writing files and folders whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.core.errors import InputError


@contextmanager
def replacing(target: Path, writer: str = "") -> Iterator[Path]:
    """Yield a temporary path beside `target`, renamed to it if the block succeeds and removed if not.

    Args:
        target: the file or folder to write; its parent is made, an older version is replaced.
        writer: goes into the temporary name, where several may write the target at once.

    Raises:
        InputError: the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}{writer}.partial")
    remove(partial)
    try:
        with disk(target):
            yield partial
            if partial.is_file():
                _flush_to_disk(partial)
            elif target.is_dir():
                remove(target)
            partial.replace(target)
    finally:
        remove(partial)


@contextmanager
def disk(target: Path) -> Iterator[None]:
    """Replace the system's error, if the disk is full while `target` is written, by a clear one.

    Raises:
        InputError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise InputError(f"no space left on the disk while writing {target}; free some and run again") from error
        raise


def link(original: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system cannot do that.

    Args:
        original: an existing file.
        target: a new name; its folder is made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(original.resolve())
    except FileExistsError:
        raise
    except OSError:
        with disk(target):
            shutil.copyfile(original, target)


def remove(path: Path) -> None:
    """Remove a file, link or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def require_space(folder: Path, size: int) -> None:
    """Check that a folder's disk has room for `size` bytes.

    Raises:
        InputError: there is no room; the message names the folder, the bytes needed and the bytes free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InputError(f"no space for {folder}: {size / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free")


def is_disk_full(error: OSError) -> bool:
    """Tell whether the error says that no space is left; HDF5 says it in its text alone."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
