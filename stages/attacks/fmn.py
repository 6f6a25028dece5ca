"""Fast minimum norm (Pintor et al. 2021), in L-infinity."""

from typing import Annotated, Any, ClassVar, Self

import foolbox
from foolbox import TargetedMisclassification
from foolbox.attacks import LInfFMNAttack
from pydantic import Field

from stages.attacks.base import Access
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.core.params import Count, Number
from stages.stores.perturbations import Norm

OVERSHOOT = 1.001
"""Factor on the radius: at the linearised boundary itself nothing is fooled."""


class FMN(MinimumNorm):
    """Gradient steps in a ball whose radius follows the distance to the boundary."""

    norm: ClassVar[Norm] = "linf"
    access: ClassVar[Access] = "white_box"
    paper = "Pintor et al.: Fast Minimum-norm Adversarial Attacks through Adaptive Norm Constraints, NeurIPS 2021"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    max_stepsize: Annotated[Number, Field(gt=0, le=1000)]
    gamma: Annotated[Number, Field(gt=0, lt=1)]

    @classmethod
    def of_steps(cls, steps: int) -> Self:
        """Make the attack as it is by default, but with so many steps."""
        return cls(steps=steps, max_stepsize=1.0, gamma=0.05, schedule={})

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Take Foolbox's best examples, in L-infinity; the clean clips where it found none."""
        found = self.descent().run(model, inputs.clean, TargetedMisclassification(inputs.targets))
        return Candidates.alike(found, self.steps)

    def descent(self) -> "BeyondTheBoundary":
        """Make Foolbox's attack with these parameters, for any criterion."""
        return BeyondTheBoundary(steps=self.steps, max_stepsize=self.max_stepsize, gamma=self.gamma)


class BeyondTheBoundary(LInfFMNAttack):
    """Foolbox's attack with a ball that reaches a little beyond the boundary; else a linear model is never fooled."""

    def project(self, x: Any, x0: Any, epsilon: Any) -> Any:
        """Find the nearest points of the balls around `x0`, as EagerPy tensors."""
        return super().project(x, x0, OVERSHOOT * epsilon)
