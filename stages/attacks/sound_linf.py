"""Signed gradient descent on the waveform, within a peak (Kurakin et al. 2017)."""

from typing import Annotated, ClassVar

import foolbox
from pydantic import Field
from torch import Tensor

from stages.attacks.base.fixed_budget import FixedBudget
from stages.attacks.base.goals import Towards
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import Candidates
from stages.attacks.base.sound import BallDescent, Peak, SoundAttack, Steps
from stages.core.params import Count, Number
from stages.stores.perturbations import Norm


class SoundLinf(SoundAttack, FixedBudget):
    """Descents by signs in a box around the clip, whose size is a share of the clip's own peak."""

    norm: ClassVar[Norm] = "peak"
    paper = "Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World, ICLR 2017"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=2)]

    @property
    def iterations(self) -> int:
        """The number of steps of one descent."""
        return self.steps

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Descend from `start`."""
        descent = BallDescent(Peak(), Steps(self.steps, self.rel_stepsize))
        return descent.run(model, inputs.clean, Towards(inputs.targets), budget, start)
