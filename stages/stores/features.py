"""The feature store: the image of every clip in one representation, and those of its augmented copies."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages.core import params
from stages.core.arrays import Floats, Images, Integers, Strings
from stages.core.errors import InputError
from stages.stores import hdf5, provenance

COLUMNS = ("features", "variants", "labels", "folds", "clips", "groups")
ATTRIBUTES = ("classes", "representation", "parameters", "audio", "silence")


@dataclass(frozen=True)
class Features:
    """A feature store in memory; N clips."""

    features: Images
    """Images of the clips, shape (N, 1, height, width), in [0, 1]."""
    variants: Images
    """Images of augmented copies of the clips, for training, shape (N, copies, height, width), in [0, 1]."""
    labels: Integers
    folds: Integers
    clips: Strings
    groups: Strings
    classes: tuple[str, ...]
    representation: str
    parameters: str
    """The representation's parameters, as JSON."""
    audio: str
    """The settings by which sounds were read, as JSON."""
    silence: Floats
    """Value of each row in silence, shape (height,)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one clip's image: (1, height, width)."""
        return self.features.shape[1], self.features.shape[2], self.features.shape[3]


def write_features(
    path: Path,
    columns: Mapping[str, Strings | Integers],
    images: Iterable[Images],
    shape: tuple[int, int, int],
    attributes: Mapping[str, Any],
) -> None:
    """Write a feature store, one clip at a time, in the order given.

    Args:
        path: file to write; an older store is replaced once the new one is whole.
        columns: labels, folds, clips and groups, N of each.
        images: N arrays of shape `shape`, float32 in [0, 1]: the clip's image, then those of its augmented copies.
        shape: shape of each array, (1 + copies, height, width).
        attributes: attributes of the file itself.
    """
    count = len(columns["clips"])
    versions, *size = shape
    with hdf5.writing(path, 4 * count * math.prod(shape), attributes) as file:
        features = hdf5.create_column(file, "features", (count, 1, *size), np.dtype(np.float32))
        variants = hdf5.create_column(file, "variants", (count, versions - 1, *size), np.dtype(np.float32))
        for index, stack in enumerate(images):
            features[index] = stack[:1]
            variants[index] = stack[1:]
        for name, values in columns.items():
            hdf5.write_column(file, name, values)


def read_features(path: Path, stage: str, made_of: Mapping[str, str]) -> Features:
    """Read a feature store.

    Args:
        path: file to read.
        stage: the stage that writes the store, named in errors.
        made_of: origins that the features must have, as `stages.stores.provenance` names them.

    Raises:
        InputError: the store is missing, damaged, incomplete or made of something else; the message names the stage to
            run again.

    Example:
        >>> made_of = provenance.of_features("stft")
        >>> read_features(paths.features("stft"), "features@stft", made_of).representation
        'stft'
    """
    columns, attributes = hdf5.read(path, stage, COLUMNS, ATTRIBUTES)
    for name, wanted in made_of.items():
        if not provenance.agree(found := attributes.get(name), wanted):
            raise InputError(f"{path} has {name} {found!r}, {params.FILE} asks for {wanted!r}; run `dvc repro {stage}`")
    return Features(
        **columns,
        classes=tuple(str(name) for name in attributes["classes"]),
        representation=attributes["representation"],
        parameters=attributes["parameters"],
        audio=attributes["audio"],
        silence=attributes["silence"],
    )
