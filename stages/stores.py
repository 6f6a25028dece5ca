"""The HDF5 stores: features, and adversarial clips."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from stages import files, params
from stages.console import InputError

Images = npt.NDArray[np.float32]
Strings = npt.NDArray[np.str_]
Integers = npt.NDArray[np.int64]

DYNAMIC_RANGE_DB = 80.0
"""Of a feature: 0 is this far below the clip's maximum, 1 is the maximum."""


@dataclass(frozen=True)
class Features:
    """A feature store in memory; N clips."""

    features: Images
    """Shape (N, 1, height, width), in [0, 1]."""
    variants: Images
    """Of changed versions of the clips, for training: shape (N, variants, height, width), in [0, 1]."""
    labels: Integers
    folds: Integers
    clips: Strings
    groups: Strings
    classes: tuple[str, ...]
    representation: str
    parameters: str
    """The representation's parameters, as JSON."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one feature: (1, height, width)."""
        return self.features.shape[1], self.features.shape[2], self.features.shape[3]


@dataclass(frozen=True)
class Adversarial:
    """An adversarial store in memory; N clips, in the order of the feature store."""

    clip: Strings
    label: Integers
    target: Integers
    eligible: npt.NDArray[np.bool_]
    success: npt.NDArray[np.bool_]
    cost: Images
    size_linf: Images
    size_l2: Images
    size_l1: Images
    queries: Integers
    clean: Images
    adversarial: Images
    """Shape (N, 1, height, width); the clean clip where the attack failed."""
    attributes: Mapping[str, Any]


def write_features(
    path: Path,
    columns: Mapping[str, Strings | Integers],
    images: Iterable[Images],
    shape: tuple[int, int, int],
    attributes: Mapping[str, Any],
) -> None:
    """Write a feature store, one clip at a time, in the order given.

    Args:
        path: where; an older store is replaced once the new one is whole.
        columns: labels, folds, clips and groups, N of each.
        images: N arrays of shape `shape`, float32 in [0, 1]: the clip's image, then those of its variants.
        shape: (1 + variants, height, width).
        attributes: written to the file itself.
    """
    count = len(columns["clips"])
    versions, *size = shape
    files.require_space(path.parent, 4 * count * math.prod(shape))
    with files.replacing(path) as partial, h5py.File(partial, "w") as file:
        features = _create(file, "features", (count, 1, *size), np.dtype(np.float32))
        variants = _create(file, "variants", (count, versions - 1, *size), np.dtype(np.float32))
        for index, stack in enumerate(images):
            features[index] = stack[:1]
            variants[index] = stack[1:]
        for name, values in columns.items():
            _write_column(file, name, values)
        file.attrs.update(attributes)
        file.attrs["complete"] = True


def write_adversarial(path: Path, store: Adversarial) -> None:
    """Write an adversarial store."""
    columns = {name: values for name, values in vars(store).items() if name != "attributes"}
    files.require_space(path.parent, sum(values.nbytes for values in columns.values()))
    with files.replacing(path) as partial, h5py.File(partial, "w") as file:
        for name, values in columns.items():
            _write_column(file, name, values)
        file.attrs.update(store.attributes)
        file.attrs["complete"] = True


def read_features(path: Path, stage: str, origin: Mapping[str, str]) -> Features:
    """Read a feature store.

    Args:
        path: where.
        stage: that writes it, named in errors.
        origin: what its features must be made of, as `stages.origins` has it.

    Raises:
        InputError: it is missing, damaged, incomplete or made of something else; the message names the stage to run
            again.
    """
    columns, attributes = _read(path, stage, Features)
    for name, wanted in origin.items():
        if (found := attributes.get(name)) != wanted:
            raise InputError(f"{path} has {name} {found!r}, {params.FILE} asks for {wanted!r}; run `dvc repro {stage}`")
    classes = tuple(str(name) for name in attributes["classes"])
    return Features(
        **columns, classes=classes, representation=attributes["representation"], parameters=attributes["parameters"]
    )


def read_adversarial(path: Path, stage: str) -> Adversarial:
    """Read an adversarial store.

    Raises:
        InputError: it is missing, damaged or incomplete; the message names the stage to run again.
    """
    columns, attributes = _read(path, stage, Adversarial)
    return Adversarial(**columns, attributes=attributes)


def _read(path: Path, stage: str, kind: type) -> tuple[dict[str, Any], dict[str, Any]]:
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro {stage}`")
    try:
        with h5py.File(path, "r", locking=False) as file:
            attributes = dict(file.attrs)
            columns = {name: _column(file[name]) for name in kind.__annotations__ if name in file}
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it and run `dvc repro {stage}`") from None
    missing = set(kind.__annotations__) - set(columns) - set(attributes) - {"attributes"}
    if missing or not attributes.get("complete"):
        raise InputError(f"{path} is incomplete or not a store of this kind; remove it and run `dvc repro {stage}`")
    return columns, attributes


def _column(dataset: h5py.Dataset) -> npt.NDArray[Any]:
    return np.asarray(dataset.asstr()[:], dtype=np.str_) if h5py.check_string_dtype(dataset.dtype) else dataset[:]


def _write_column(file: h5py.File, name: str, values: npt.NDArray[Any]) -> None:
    if values.dtype.kind == "U":
        # Fixed length: the checksum of a chunk covers the text itself, not a reference to it.
        encoded = np.char.encode(values, "utf-8")
        dtype = h5py.string_dtype("utf-8", max(encoded.dtype.itemsize, 1))
        _create(file, name, values.shape, dtype)[...] = encoded.astype(dtype)
    else:
        _create(file, name, values.shape, values.dtype)[...] = values


def _create(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> h5py.Dataset:
    """A checksummed dataset: one chunk a clip for images, one chunk in all for columns."""
    if 0 in shape:
        return file.create_dataset(name, shape, dtype)
    return file.create_dataset(name, shape, dtype, chunks=(1, *shape[1:]) if len(shape) > 1 else shape, fletcher32=True)
