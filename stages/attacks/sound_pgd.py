"""Projected gradient descent on the waveform, within a signal-to-noise ratio (Madry et al. 2018)."""

from typing import Annotated

import foolbox
from pydantic import Field
from torch import Tensor

from stages.attacks.base.fixed_budget import FixedBudget
from stages.attacks.base.goals import Towards
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import Candidates
from stages.attacks.base.sound import BallDescent, RootMeanSquare, SoundAttack, Steps
from stages.core.params import Count, Number


class SoundPGD(SoundAttack, FixedBudget):
    """Descents with momentum in a ball of the root mean square, each from the example of a larger ball, if there is."""

    paper = "Madry et al.: Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=2)]

    @property
    def iterations(self) -> int:
        """The number of steps of one descent."""
        return self.steps

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Descend from `start`."""
        descent = BallDescent(RootMeanSquare(), Steps(self.steps, self.rel_stepsize))
        return descent.run(model, inputs.clean, Towards(inputs.targets), budget, start)
