"""Decoupled direction and norm on the waveform (Rony et al. 2019)."""

from typing import Annotated, Self

import foolbox
from pydantic import Field
from torch import Tensor

from stages.attacks.base.goals import Goal, Towards
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.attacks.base.sound import ShrinkingDescent, SoundAttack, Steps
from stages.core.params import Count, Number
from stages.stores.perturbations import ratio


class SoundDDN(SoundAttack, MinimumNorm):
    """Gradient steps on a sphere that shrinks while the victim is fooled, and grows while it is not."""

    paper = "Rony et al.: Decoupling Direction and Norm for Efficient Gradient-Based L2 Attacks, CVPR 2019"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=2)]
    gamma: Annotated[Number, Field(gt=0, lt=1)]
    first_snr: Annotated[Number, Field(ge=0, le=120)]

    @classmethod
    def of_steps(cls, steps: int) -> Self:
        """Make the attack as it is by default, but with so many steps."""
        return cls(steps=steps, rel_stepsize=0.5, gamma=0.3, first_snr=30.0, schedule={})

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Take the smallest perturbation that fools, or the clip where none did."""
        descent = ShrinkingDescent(Steps(self.steps, self.rel_stepsize), self.gamma, ratio(self.first_snr))
        return descent.run(model, inputs.clean, self.goal(inputs), self.start(inputs))

    def goal(self, inputs: AttackInputs) -> Goal:
        """Aim at the clips' targets, by the cross-entropy."""
        return Towards(inputs.targets)

    def start(self, inputs: AttackInputs) -> Tensor:
        """Begin at the clips themselves."""
        return inputs.clean
