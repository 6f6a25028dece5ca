"""Fast gradient sign method, targeted (Goodfellow et al. 2015): one step of BIM, as Foolbox's own takes no target."""

from typing import ClassVar, Self

import foolbox
from torch import Tensor

from stages.attacks import FixedBudget, Norm
from stages.attacks._descent import descend


class FGSM(FixedBudget):
    """One step of the whole budget."""

    norm: ClassVar[Norm] = "linf"
    knowledge = "white box"
    paper = "Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples, ICLR 2015"

    @property
    def passes(self) -> int:
        """One."""
        return 1

    def examples(self, model: foolbox.PyTorchModel, images: Tensor, targets: Tensor, budget: Tensor) -> Tensor:
        """The images moved by the budget against the sign of the gradient of the target's loss."""
        return descend(model, images, targets, budget, steps=1, rel_stepsize=1.0)

    def stronger(self) -> Self:
        """Itself: a single step has no effort to double."""
        return self
