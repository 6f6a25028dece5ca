"""Examples crafted on another network (Papernot, McDaniel, Goodfellow 2016)."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, ClassVar, Self

import foolbox
from pydantic import Field, PrivateAttr
from torch import Tensor, nn

from stages import baselines
from stages.attacks import Clips, Knowledge, Norm, Tried
from stages.attacks._descent import descend
from stages.attacks._fixed_budget import FixedBudget
from stages.params import Count, Name, Number, Parameters
from stages.prediction import Victim
from stages.trials import Trial


class Transfer(FixedBudget):
    """BIM on a network that the attacker has trained on the same clips; the victim is asked for nothing but a verdict.

    The passes counted are those through the attacker's network, and one through the victim for each budget tried.
    """

    norm: ClassVar[Norm] = "linf"
    knowledge: ClassVar[Knowledge] = "black box"
    paper = "Papernot, McDaniel, Goodfellow: Transferability in Machine Learning, arXiv 1605.07277, 2016"

    architecture: Name
    steps: Annotated[Count, Field(ge=1, le=10000)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=1)]

    _surrogate: nn.Module | None = PrivateAttr(None)

    def prepared(self, trial: Trial) -> Self:
        """With a network of its own, trained as a baseline but with another seed: the victim's is not known."""
        own = replace(trial, cell=replace(trial.cell, architecture=self.architecture), seed=trial.seed + 1)
        what = f"{self.architecture} to transfer from, {trial.cell.representation} fold {trial.cell.fold}"
        with TemporaryDirectory() as folder, baselines.trained(own, what, Path(folder) / "curve.csv") as (surrogate, _):
            return self.through(surrogate)

    def through(self, surrogate: nn.Module) -> Self:
        """The same attack by way of a network."""
        attack = self.model_copy()
        attack._surrogate = surrogate
        return attack

    @property
    def made_from(self) -> tuple[Parameters | nn.Module, ...]:
        """The attacker's network too."""
        return (self, self._surrogate or nn.Identity())

    def shown(self, victim: Victim) -> foolbox.PyTorchModel:
        """The attacker's network."""
        assert self._surrogate is not None, "prepared before it attacks"
        return Victim(self._surrogate, victim.compute).exposed()

    def examples(self, model: foolbox.PyTorchModel, clips: Clips, budget: Tensor, start: Tensor) -> Tried:
        """All steps are taken: an example that has just fooled the attacker's network rarely fools another."""
        examples = descend(model, clips.images, clips.targets, budget, steps=self.steps, rel_stepsize=self.rel_stepsize)
        return Tried.alike(examples, self.steps)
