"""DeepFool with a target (Moosavi-Dezfooli et al. 2016)."""

from typing import Annotated, ClassVar

import foolbox
import torch
from foolbox import PyTorchModel
from foolbox.distances import l2
from pydantic import Field
from torch import Tensor

from stages.attacks.base import Access
from stages.attacks.base.gradients import logit_margin_and_gradient
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.attacks.base.targeted import TargetedAttack
from stages.core.params import Count, Number
from stages.models.victim import exact_logits, logit_margin
from stages.stores.perturbations import Norm

SLIGHTLY = 1e-4
"""Margin that each step aims at, as in the paper's code: at zero there would be no step."""


class DeepFool(MinimumNorm):
    """Repeated linearised steps from the class predicted now to the target, then back along the line to the boundary.

    The paper's attack looks for the nearest boundary of any class; here it is that of the target.
    """

    norm: ClassVar[Norm] = "l2"
    access: ClassVar[Access] = "white_box"
    paper = "Moosavi-Dezfooli, Fawzi, Frossard: DeepFool, CVPR 2016"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    overshoot: Annotated[Number, Field(ge=0, le=1)]
    max_step: Annotated[Number, Field(gt=0, le=1)]

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Run `TargetedDeepFool` on the clips."""
        attack = TargetedDeepFool(steps=self.steps, overshoot=self.overshoot, max_step=self.max_step)
        return attack.attempt(model, inputs.clean, inputs.targets)


class TargetedDeepFool(TargetedAttack):
    """DeepFool towards given targets, in L2; a clip leaves the batch as soon as it fools the model."""

    distance = l2

    def __init__(self, *, steps: int, overshoot: float, max_step: float) -> None:
        """Set the parameters.

        Args:
            steps: largest number of steps, >= 1.
            overshoot: share by which each step goes beyond the linearised boundary.
            max_step: largest size of a step, root mean square over the bins: a linearisation says little far away.
        """
        self.steps, self.overshoot, self.max_step = steps, overshoot, max_step

    def attempt(self, model: PyTorchModel, images: Tensor, targets: Tensor) -> Candidates:
        """Step each image until the model first takes it for its target, or until the last step."""
        examples, queries = images.clone(), torch.zeros(len(images), dtype=torch.int64)
        active = torch.arange(len(images), device=images.device)
        for _ in range(self.steps):
            margins, slope = logit_margin_and_gradient(model, examples[active], targets[active])
            queries[active.cpu()] += 1
            margins = _confirmed(model, examples[active], targets[active], margins)
            going = margins <= 0
            active, margins, slope = active[going], margins[going], slope[going]
            if not len(active):
                break
            examples[active] = (examples[active] + self._step(margins, slope)).clamp(0, 1)
        return Candidates(examples, queries)

    def _step(self, margins: Tensor, slope: Tensor) -> Tensor:
        """Compute the step to where the linearised margin is zero, and a little further; shape of the slope."""
        steepness = slope.square().sum(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)
        length = (1 + self.overshoot) * (SLIGHTLY - margins.reshape(-1, 1, 1, 1)) / steepness
        max_step = self.max_step * slope[0].numel() ** 0.5
        return length.clamp(max=max_step) / steepness * slope


def _confirmed(model: PyTorchModel, images: Tensor, targets: Tensor, margins: Tensor) -> Tensor:
    """Replace the margins that low precision takes for positive by those in float32."""
    claimed = margins > 0
    if not claimed.any():
        return margins
    exact = logit_margin(exact_logits(model, images[claimed]), targets[claimed])
    return margins.masked_scatter(claimed, exact.to(margins))
