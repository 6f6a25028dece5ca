"""The fast gradient sign method, and the family that iterates it inside an L-infinity ball."""

from abc import ABC
from typing import Annotated, ClassVar

import foolbox
from foolbox import TargetedMisclassification
from pydantic import Field
from torch import Tensor

from stages.attacks import Clips, Found, Knowledge, Norm, SearchParams, Tried
from stages.attacks._descent import LinfDescent, descend
from stages.attacks._fixed_budget import FixedBudget
from stages.params import Count, Number
from stages.prediction import Victim


class OneStep(FixedBudget):
    """One step of the whole budget."""

    norm: ClassVar[Norm] = "linf"
    knowledge: ClassVar[Knowledge] = "white box"
    paper = "Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples, ICLR 2015"

    def examples(self, model: foolbox.PyTorchModel, clips: Clips, budget: Tensor, start: Tensor) -> Tried:
        """The images moved by the budget against the sign of the gradient of the target's loss."""
        return Tried.alike(descend(model, clips.images, clips.targets, budget, steps=1, rel_stepsize=1.0), 1)


class Iterative(FixedBudget, ABC):
    """Small steps, each projected back into the budget."""

    norm: ClassVar[Norm] = "linf"
    knowledge: ClassVar[Knowledge] = "white box"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=1)]

    def search(self, victim: Victim, clips: Clips, search: SearchParams, enough: float = 1.0) -> Found:
        """From what a single step finds at any budget, so that iterating never costs more than not iterating.

        Not if enough fooled clips end the search: those that one step fools, by much, would come first.
        """
        found = OneStep(ladder={}).search(victim, clips, search) if enough == 1 else Found.nothing(clips)
        self.improve(found, victim, clips, search, enough)
        return found

    def descended(
        self, model: foolbox.PyTorchModel, clips: Clips, budget: Tensor, start: Tensor, momentum: float = 0.0
    ) -> Tried:
        """The end of one descent from `start`."""
        descent = LinfDescent(steps=self.steps, rel_stepsize=self.rel_stepsize, momentum=momentum)
        criterion = TargetedMisclassification(clips.targets)
        examples = descent.run(model, clips.images, criterion, epsilon=budget, starting_points=start)
        return Tried(examples, descent.passes)
