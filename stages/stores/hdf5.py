"""What the stores share: checksummed columns in an HDF5 file that is whole or not there."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stages.core import files
from stages.core.arrays import Array
from stages.core.errors import InputError

COMPLETE = "complete"
"""Name of the attribute that is written last."""


@contextmanager
def writing(path: Path, size: int, attributes: Mapping[str, Any]) -> Iterator[h5py.File]:
    """Open a new HDF5 file, which takes the place of `path` once the block has filled it.

    Args:
        path: file to write; an older store is replaced once the new one is whole.
        size: bytes that the disk must have free.
        attributes: attributes of the file itself.

    Raises:
        InputError: the disk is full.
    """
    files.require_space(path.parent, size)
    with files.replacing(path) as partial, h5py.File(partial, "w") as file:
        yield file
        file.attrs.update(attributes)
        file.attrs[COMPLETE] = True


def write_column(file: h5py.File, name: str, values: Array) -> None:
    """Write an array: numbers as they are, texts in UTF-8."""
    if values.dtype.kind == "U":
        # Fixed length: the checksum of a chunk covers the text itself, not a reference to it.
        encoded = np.char.encode(values, "utf-8")
        dtype = h5py.string_dtype("utf-8", max(encoded.dtype.itemsize, 1))
        create_column(file, name, values.shape, dtype)[...] = encoded.astype(dtype)
    else:
        create_column(file, name, values.shape, values.dtype)[...] = values


def create_column(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> h5py.Dataset:
    """Make room for a checksummed array: one chunk per clip for images, one chunk in all for anything else."""
    if 0 in shape:
        return file.create_dataset(name, shape, dtype)
    return file.create_dataset(name, shape, dtype, chunks=(1, *shape[1:]) if len(shape) > 1 else shape, fletcher32=True)


def read(
    path: Path, stage: str, columns: Iterable[str], attributes: Iterable[str]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read some columns and all attributes of a store.

    Args:
        path: file to read.
        stage: the stage that writes the store, named in errors.
        columns: names of the arrays to read.
        attributes: names of the attributes that must be there.

    Raises:
        InputError: the store is missing, damaged or incomplete; the message names the stage to run again.
    """
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro {stage}`")
    try:
        with h5py.File(path, "r", locking=False) as file:
            found = {name: _read_column(file[name]) for name in columns if name in file}
            told = dict(file.attrs)
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it and run `dvc repro {stage}`") from None
    if {*columns} - found.keys() or {*attributes} - told.keys() or not told.get(COMPLETE):
        raise InputError(f"{path} is incomplete or not a store of this kind; remove it and run `dvc repro {stage}`")
    return found, told


def _read_column(dataset: h5py.Dataset) -> Array:
    return np.asarray(dataset.asstr()[:], dtype=np.str_) if h5py.check_string_dtype(dataset.dtype) else dataset[:]
