"""Basic iterative method (Kurakin et al. 2017)."""

from typing import Annotated, ClassVar, Self

import foolbox
from pydantic import Field
from torch import Tensor

from stages.attacks import FixedBudget, Norm
from stages.attacks._descent import descend
from stages.params import Count, Number


class BIM(FixedBudget):
    """FGSM in small steps, each projected back into the budget."""

    norm: ClassVar[Norm] = "linf"
    knowledge = "white box"
    paper = "Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World, ICLR 2017"

    steps: Annotated[Count, Field(ge=1)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=1)]

    @property
    def passes(self) -> int:
        """One a step."""
        return self.steps

    def examples(self, model: foolbox.PyTorchModel, images: Tensor, targets: Tensor, budget: Tensor) -> Tensor:
        """The images after the last step."""
        return descend(model, images, targets, budget, steps=self.steps, rel_stepsize=self.rel_stepsize)

    def stronger(self) -> Self:
        """Twice the steps."""
        return self.model_copy(update={"steps": 2 * self.steps})
