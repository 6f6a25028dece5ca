"""Adversarial training on single steps from a random start (Wong, Rice, Kolter 2020)."""

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

from stages.attacks.base.linf import LinfDescent
from stages.core.params import Number
from stages.defenses.base import Defense
from stages.defenses.base.pgd_training import STOP_MARGIN, descend, random_start
from stages.training.batches import Batch, TrainingData


class Fast(Defense):
    """A defense by one step towards the target from noise, a little longer than the budget, projected back into it."""

    single_step: ClassVar[bool] = True

    eps: Annotated[Number, Field(gt=0, le=1)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=2)]

    def adversaries(self, network: nn.Module, batch: Batch, targets: Tensor, data: TrainingData) -> Tensor:
        """Make examples within `eps` of the images by a single step."""
        step = LinfDescent(steps=1, rel_stepsize=self.rel_stepsize, stop_margin=STOP_MARGIN)
        return descend(step, self.eps, network, random_start(self.eps, batch, data), batch, targets, data)
