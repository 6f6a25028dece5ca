"""Decoupled direction and norm (Rony et al. 2019)."""

from typing import Annotated, ClassVar, Self

import foolbox
from foolbox import TargetedMisclassification
from foolbox.attacks import DDNAttack
from pydantic import Field

from stages.attacks.base import Access
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.core.params import Count, Number
from stages.stores.perturbations import Norm


class DDN(MinimumNorm):
    """Gradient steps on a sphere that shrinks while the victim is fooled, and grows while it is not."""

    norm: ClassVar[Norm] = "l2"
    access: ClassVar[Access] = "white_box"
    paper = "Rony et al.: Decoupling Direction and Norm for Efficient Gradient-Based L2 Attacks, CVPR 2019"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    init_epsilon: Annotated[Number, Field(gt=0, le=1)]
    gamma: Annotated[Number, Field(gt=0, lt=1)]

    @classmethod
    def of_steps(cls, steps: int) -> Self:
        """Make the attack as it is by default, but with so many steps."""
        return cls(steps=steps, init_epsilon=0.03, gamma=0.05, schedule={})

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Take Foolbox's best examples, in L2; the clean clips where it found none."""
        # Foolbox's radius is the root of the sum over the bins.
        radius = self.init_epsilon * inputs.clean[0].numel() ** 0.5
        attack = DDNAttack(init_epsilon=radius, steps=self.steps, gamma=self.gamma)
        return Candidates.alike(attack.run(model, inputs.clean, TargetedMisclassification(inputs.targets)), self.steps)
