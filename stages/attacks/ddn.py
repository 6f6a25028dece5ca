"""Decoupled direction and norm (Rony et al. 2019)."""

from typing import Annotated, ClassVar

import foolbox
from foolbox import TargetedMisclassification
from foolbox.attacks import DDNAttack
from pydantic import Field

from stages.attacks import Clips, Knowledge, Norm, Tried
from stages.attacks._minimum_norm import MinimumNorm
from stages.params import Count, Number


class DDN(MinimumNorm):
    """Gradient steps on a sphere that shrinks while the victim is fooled, and grows while it is not."""

    norm: ClassVar[Norm] = "l2"
    knowledge: ClassVar[Knowledge] = "white box"
    paper = "Rony et al.: Decoupling Direction and Norm for Efficient Gradient-Based L2 Attacks, CVPR 2019"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    init_epsilon: Annotated[Number, Field(gt=0, le=1)]
    gamma: Annotated[Number, Field(gt=0, lt=1)]

    def examples(self, model: foolbox.PyTorchModel, clips: Clips) -> Tried:
        """Foolbox's best, in L2; the clean clips where it found none."""
        # Foolbox's radius is the root of the sum over the bins.
        radius = self.init_epsilon * clips.images[0].numel() ** 0.5
        attack = DDNAttack(init_epsilon=radius, steps=self.steps, gamma=self.gamma)
        return Tried.alike(attack.run(model, clips.images, TargetedMisclassification(clips.targets)), self.steps)
