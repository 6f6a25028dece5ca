"""DeepFool with a target (Moosavi-Dezfooli et al. 2016)."""

from typing import Annotated, ClassVar

import foolbox
import torch
from foolbox import PyTorchModel
from foolbox.distances import l2
from pydantic import Field
from torch import Tensor

from stages.attacks import Clips, Knowledge, Norm, Tried
from stages.attacks._gradients import margin
from stages.attacks._minimum_norm import MinimumNorm
from stages.attacks._targeted import TargetedAttack
from stages.params import Count, Number

SLIGHTLY = 1e-4
"""Margin aimed at, as in the paper's code: at zero there would be no step."""


class DeepFool(MinimumNorm):
    """Repeated linearised steps from the class predicted now to the target, then back along the line to the boundary.

    The paper's attack looks for the nearest boundary of any class; here it is that of the target.
    """

    norm: ClassVar[Norm] = "l2"
    knowledge: ClassVar[Knowledge] = "white box"
    paper = "Moosavi-Dezfooli, Fawzi, Frossard: DeepFool, CVPR 2016"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    overshoot: Annotated[Number, Field(ge=0, le=1)]
    longest: Annotated[Number, Field(gt=0, le=1)]

    def examples(self, model: foolbox.PyTorchModel, clips: Clips) -> Tried:
        """Those of `TargetedDeepFool`."""
        attack = TargetedDeepFool(steps=self.steps, overshoot=self.overshoot, longest=self.longest)
        return attack.attempt(model, clips.images, clips.targets)


class TargetedDeepFool(TargetedAttack):
    """In L2; a clip leaves the batch as soon as it is fooled."""

    distance = l2

    def __init__(self, *, steps: int, overshoot: float, longest: float) -> None:
        """Set the parameters.

        Args:
            steps: most steps, >= 1.
            overshoot: share by which each step goes beyond the linearised boundary.
            longest: of a step, root mean square over the bins: a linearisation says little far away.
        """
        self.steps, self.overshoot, self.longest = steps, overshoot, longest

    def attempt(self, model: PyTorchModel, images: Tensor, targets: Tensor) -> Tried:
        """The images when the model first takes them for their targets, or after the last step."""
        examples, passes = images.clone(), torch.zeros(len(images), dtype=torch.int64)
        active = torch.arange(len(images), device=images.device)
        for _ in range(self.steps):
            margins, slope = margin(model, examples[active], targets[active])
            passes[active.cpu()] += 1
            active, margins, slope = active[margins <= 0], margins[margins <= 0], slope[margins <= 0]
            if not len(active):
                break
            examples[active] = (examples[active] + self._step(margins, slope)).clamp(0, 1)
        return Tried(examples, passes)

    def _step(self, margins: Tensor, slope: Tensor) -> Tensor:
        """To where the linearised margin is zero, and a little further; shape of the slope."""
        steepness = slope.square().sum(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)
        length = (1 + self.overshoot) * (SLIGHTLY - margins.reshape(-1, 1, 1, 1)) / steepness
        longest = self.longest * slope[0].numel() ** 0.5
        return length.clamp(max=longest) / steepness * slope
