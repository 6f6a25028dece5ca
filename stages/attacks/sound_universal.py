"""One perturbation for each target, added to any clip (Abdoli et al. 2019)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import foolbox
import torch
from pydantic import Field
from torch import Tensor

from stages.attacks.base.fixed_budget import FixedBudget
from stages.attacks.base.goals import Towards
from stages.attacks.base.inputs import AttackInputs, StartingPoints
from stages.attacks.base.results import Candidates
from stages.attacks.base.sound import MOMENTUM, Look, SoundAttack, Steps, level, rms
from stages.core.params import Count, Number
from stages.models.victim import Victim
from stages.stores.perturbations import ratio


@dataclass(frozen=True)
class Patterns(StartingPoints):
    """A perturbation for each target, instead of a starting point for each clip."""

    perturbations: Tensor
    """Perturbations whose root mean square is 1, shape (classes, 1, 1, samples)."""

    def starts(self, clean: Tensor, targets: Tensor) -> Tensor:
        """Add to each clip the perturbation of its target, at the clip's own level."""
        return clean + level(clean) * self.perturbations[targets]


class SoundUniversal(SoundAttack, FixedBudget):
    """A perturbation crafted on training clips; a clip's cost is how loud it must be added to that clip."""

    paper = "Abdoli et al.: Universal Adversarial Audio Perturbations, arXiv 1908.03173, 2019"
    needs_starting_points: ClassVar[bool] = True

    steps: Annotated[Count, Field(ge=1, le=100000)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=2)]
    batch_size: Annotated[Count, Field(ge=1)]
    crafted_snr: Annotated[Number, Field(ge=0, le=120)]

    @property
    def iterations(self) -> int:
        """The number of steps in which each perturbation is crafted."""
        return self.steps

    def starting_points(self, victim: Victim, clips: Tensor, labels: Tensor) -> Patterns:
        """Craft the perturbation of every class on the training clips of the other classes."""
        classes = victim.logits(torch.full((1, *clips.shape[1:]), 0.5)).shape[1]
        crafted = [self._crafted(victim, clips[labels != target], target) for target in range(classes)]
        return Patterns(clips, labels, torch.cat(crafted))

    def _crafted(self, victim: Victim, clips: Tensor, target: int) -> Tensor:
        """Descend on one perturbation for batches of clips in turn: shape (1, 1, 1, samples)."""
        steps, loudness = Steps(self.steps, self.rel_stepsize), ratio(self.crafted_snr)
        order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(target))
        pattern = torch.zeros(1, *clips.shape[1:], device=victim.device)
        velocity = torch.zeros_like(pattern)
        for step in range(self.steps if len(clips) else 0):
            rows = (torch.arange(self.batch_size) + step * self.batch_size) % len(clips)
            clean = clips[order[rows]].to(victim.device)
            goal = Towards(torch.full((len(rows),), target, device=victim.device))
            look = Look(victim.as_foolbox(), goal, clean)
            look((clean + loudness * level(clean) * pattern).clamp(0, 1))
            velocity = MOMENTUM * velocity + look.velocity.mean(0, keepdim=True)
            pattern = pattern - steps.size(step) * velocity / rms(velocity)
            pattern = pattern / rms(pattern)
        return pattern.cpu()

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Add the perturbation of each clip's target, as loud as the budget allows."""
        delta = inputs.starts - inputs.clean
        return Candidates.alike((inputs.clean + budget * delta / rms(delta)).clamp(0, 1), 0)
