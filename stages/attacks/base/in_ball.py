"""Attacks that descend on the waveform in a ball around each clip, given its size."""

from abc import ABC, abstractmethod
from typing import Annotated

import foolbox
from pydantic import Field
from torch import Tensor

from stages.attacks.base.fixed_budget import FixedBudget
from stages.attacks.base.goals import Towards
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import Candidates
from stages.attacks.base.sound import Ball, BallDescent, SoundAttack, Steps
from stages.core.params import Count, Number


class InBall(SoundAttack, FixedBudget, ABC):
    """Descents with momentum in a ball, each from the example of a larger one, if there is."""

    steps: Annotated[Count, Field(ge=1, le=10000)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=2)]

    @property
    def iterations(self) -> int:
        """The number of steps of one descent."""
        return self.steps

    @abstractmethod
    def ball(self, inputs: AttackInputs) -> Ball:
        """Choose the norm of the ball for a batch of clips, on the device."""

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Descend from `start`."""
        descent = BallDescent(self.ball(inputs), Steps(self.steps, self.rel_stepsize))
        return descent.run(model, inputs.clean, Towards(inputs.targets), budget, start)
