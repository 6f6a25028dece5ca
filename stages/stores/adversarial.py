"""The adversarial store: what one attack made of every clip of a set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.arrays import Flags, Images, Integers, Strings
from stages.stores import hdf5

COLUMNS = (
    "clip", "label", "target", "eligible", "success", "cost", "size_linf", "size_l2", "size_l1", "queries", "clean",
    "adversarial",
)  # fmt: skip


@dataclass(frozen=True)
class Adversarial:
    """An adversarial store in memory; N clips, in the order of the feature store."""

    clip: Strings
    label: Integers
    target: Integers
    eligible: Flags
    """Mask of the clips that the model predicts right, which were attacked."""
    success: Flags
    """Mask of the clips put into the target class by the model's own float32 verdict on the stored array."""
    cost: Images
    """Size of the perturbation in the attack's norm, shape (N,); infinite where the attack failed."""
    size_linf: Images
    size_l2: Images
    size_l1: Images
    queries: Integers
    """Passes through the model per clip, each forward alone or forward and backward."""
    clean: Images
    adversarial: Images
    """Adversarial images, shape (N, 1, height, width); the clean clip where the attack failed."""
    attributes: Mapping[str, Any]
    """Attributes of the store: the attack, its parameters and the model. None of them depends on the clock."""


def write_adversarial(path: Path, store: Adversarial) -> None:
    """Write an adversarial store: the same content gives the same bytes."""
    columns = {name: getattr(store, name) for name in COLUMNS}
    with hdf5.writing(path, sum(values.nbytes for values in columns.values()), store.attributes) as file:
        for name, values in columns.items():
            hdf5.write_column(file, name, values)


def read_adversarial(path: Path, stage: str) -> Adversarial:
    """Read an adversarial store.

    Raises:
        InputError: the store is missing, damaged or incomplete; the message names the stage to run again.

    Example:
        >>> cell = CellPaths("stft", "resnet18", 5)
        >>> path, stage = cell.attack("baseline", "bim"), cell.stage("attack", "baseline", "bim")
        >>> read_adversarial(path, stage).attributes["attack"]
        'bim'
    """
    columns, attributes = hdf5.read(path, stage, COLUMNS, ())
    return Adversarial(**columns, attributes=attributes)
