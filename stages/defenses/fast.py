"""Adversarial training on single steps from a random start (Wong, Rice, Kolter 2020)."""

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

from stages.attacks._descent import LinfDescent
from stages.defenses import Defense
from stages.defenses._descending import descended, random_start
from stages.lessons import Batch, Lesson
from stages.params import Number


class Fast(Defense):
    """One step towards the target from noise, a little longer than the budget, projected back into it."""

    single_step: ClassVar[bool] = True

    eps: Annotated[Number, Field(gt=0, le=1)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=2)]

    def adversaries(self, model: nn.Module, batch: Batch, targets: Tensor, lesson: Lesson) -> Tensor:
        """Examples within `eps` of the images."""
        attack = LinfDescent(steps=1, rel_stepsize=self.rel_stepsize)
        return descended(attack, self.eps, model, random_start(self.eps, batch, lesson), batch, targets, lesson)
