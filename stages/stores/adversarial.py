"""The adversarial store: what one attack made of every clip of a set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.arrays import Array, Flags, Floats, Integers, Strings
from stages.core.errors import InputError
from stages.stores import hdf5
from stages.stores.perturbations import NORMS

COLUMNS = ("clip", "label", "target", "eligible", "success", "cost", "queries", "clean", "adversarial")


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
    cost: Floats
    """Size of the perturbation in the norm that the attack is priced in, which of sounds is the amplitude ratio, shape
    (N,); infinite where the attack failed."""
    sizes: Mapping[str, Floats]
    """Size of the perturbation by each norm of the domain, shape (N,); the columns `size_<norm>` of the file."""
    queries: Integers
    """Passes through the model per clip, each forward alone or forward and backward."""
    clean: Array
    """The clips: images, shape (N, 1, height, width), float32, or sounds of 16 bits, shape (N, samples)."""
    adversarial: Array
    """The examples, likewise; the clean clip where the attack failed."""
    attributes: Mapping[str, Any]
    """Attributes of the store: the domain, the attack, its parameters and the model. None depends on the clock."""

    @property
    def domain(self) -> str:
        """What the attack changed: `image` or `sound`."""
        return str(self.attributes["domain"])


def write_adversarial(path: Path, store: Adversarial) -> None:
    """Write an adversarial store: the same content gives the same bytes."""
    columns = {name: getattr(store, name) for name in COLUMNS}
    columns |= {f"size_{norm}": sizes for norm, sizes in store.sizes.items()}
    with hdf5.writing(path, sum(values.nbytes for values in columns.values()), store.attributes) as file:
        for name, values in columns.items():
            hdf5.write_column(file, name, values)


def read_domain(path: Path, stage: str) -> str:
    """Read of an adversarial store what the attack changed, `image` or `sound`, alone; raises as `read_adversarial`."""
    _, attributes = hdf5.read(path, stage, (), ["domain"])
    return str(attributes["domain"])


def read_adversarial(path: Path, stage: str) -> Adversarial:
    """Read an adversarial store.

    Raises:
        InputError: the store is missing, damaged or incomplete; the message names the stage to run again.

    Example:
        >>> cell = CellPaths("stft", "resnet18", 5)
        >>> path, stage = cell.attack("baseline", "bim"), cell.stage("attack", "bim")
        >>> read_adversarial(path, stage).attributes["attack"]
        'bim'
    """
    columns, attributes = hdf5.read(path, stage, COLUMNS, ["domain"])
    if attributes["domain"] not in NORMS:
        raise InputError(f"{path} has domain {attributes['domain']!r}; remove it and run `dvc repro {stage}`")
    norms = NORMS[attributes["domain"]]
    sizes, _ = hdf5.read(path, stage, [f"size_{norm}" for norm in norms], ())
    return Adversarial(**columns, sizes={norm: sizes[f"size_{norm}"] for norm in norms}, attributes=attributes)
