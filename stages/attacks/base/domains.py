"""What an attack changes: the image that a network is shown, or the sound that the image is made of.

Attacks see either as numbers in [0, 1], so that bounds, searches and Foolbox are the same for both. The domain of
sounds is in `sound_domain`: it needs the front ends, which attacks on images do without.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from stages.core.arrays import Array, Floats, Integers
from stages.models.cell import Cell
from stages.models.victim import Frozen, Victim
from stages.stores import perturbations
from stages.stores.features import Features
from stages.stores.perturbations import Norm

DomainName = Literal["image", "sound"]

ROUNDING = 1e-7
"""Margin for float32 rounding: a perturbation of exactly the budget may measure this much larger.

Each perturbation of an image is made for a budget that is this much smaller.
"""


class Domain(ABC):
    """What an attack changes, and how it is stored and measured."""

    name: ClassVar[DomainName]

    @property
    def facts(self) -> dict[str, str | int]:
        """The facts that a store records about what it holds."""
        return {"domain": self.name}

    @abstractmethod
    def victim(self, cell: Cell, model: str) -> Victim:
        """Read the `baseline` or `hardened` model of a cell as a victim that takes what the attack changes."""

    @abstractmethod
    def clips(self, features: Features, positions: Integers) -> Tensor:
        """Take the clips at some positions of a feature store, as attacks see them, in [0, 1]."""

    @abstractmethod
    def stored(self, examples: Tensor) -> Array:
        """Turn examples, on the CPU, into the array that a store holds."""

    @abstractmethod
    def restored(self, array: Array) -> Tensor:
        """Turn a stored array back into what attacks see."""

    @abstractmethod
    def size(self, clean: Array, adversarial: Array, norm: Norm) -> Floats:
        """Measure the perturbations between two stored arrays, shape (N,), float32."""

    @abstractmethod
    def radius(self, clean: Tensor, budget: Tensor, norm: Norm) -> Tensor:
        """Find how far examples may lie from the clips, so that what is stored keeps the budget, or exceeds it little.

        Args:
            clean: the clips, as attacks see them.
            budget: a budget for each clip, in the norm, shape (batch,).
            norm: the norm of the budgets.

        Returns:
            the radii, as the norm measures what attacks see, shape (batch, 1, 1, 1).
        """

    def settled(self, examples: Tensor) -> Tensor:
        """Round examples, on the CPU, to what a store can hold, within [0, 1]."""
        return self.restored(self.stored(examples))

    def free(self, clean: Tensor) -> Tensor:
        """Tell what of the clips an attack may change: 1 or 0, in a shape that goes with theirs."""
        return torch.ones_like(clean[:1])

    def confined(self, examples: Tensor, clean: Tensor) -> Tensor:
        """Take examples where the attack may change something, and the clean clips elsewhere."""
        return torch.where(self.free(clean) > 0, examples, clean)


class ImageDomain(Domain):
    """Images, stored as they are, in float32; budgets are fractions of the dynamic range."""

    name = "image"

    def __init__(self, frozen_rows: int = 0) -> None:
        """Set how many of the last rows attacks leave alone.

        A chromagram follows from the sound that the other rows are of: no sound has a chromagram changed freely.
        """
        self.frozen_rows = frozen_rows

    @property
    def facts(self) -> dict[str, str | int]:
        """The facts that a store records about what it holds."""
        return {"domain": self.name, "frozen_rows": self.frozen_rows}

    def victim(self, cell: Cell, model: str) -> Victim:
        """Read a model that takes images."""
        return Victim(cell.model(model), cell.compute, Frozen(self.frozen_rows) if self.frozen_rows else None)

    def free(self, clean: Tensor) -> Tensor:
        """Tell which rows an attack may change: shape (1, 1, height, 1)."""
        rows = torch.arange(clean.shape[2], device=clean.device).reshape(1, 1, -1, 1)
        return (rows < clean.shape[2] - self.frozen_rows).to(clean)

    def clips(self, features: Features, positions: Integers) -> Tensor:
        """Take images, shape (N, 1, height, width)."""
        return torch.from_numpy(features.features[positions])

    def stored(self, examples: Tensor) -> Array:
        """Clip images to [0, 1]."""
        return examples.clamp(0, 1).numpy()

    def restored(self, array: Array) -> Tensor:
        """Take images as they are."""
        return torch.from_numpy(array)

    def size(self, clean: Array, adversarial: Array, norm: Norm) -> Floats:
        """Measure images by `perturbations.size`."""
        return perturbations.size(clean, adversarial, norm)

    def radius(self, clean: Tensor, budget: Tensor, norm: Norm) -> Tensor:
        """Leave room for rounding in float32."""
        return (budget - ROUNDING).clamp(min=0).reshape(-1, 1, 1, 1).to(clean.device)


IMAGE = ImageDomain()
