"""Boundary attack (Brendel et al. 2018)."""

from typing import Annotated, ClassVar

import foolbox
import torch
from foolbox import TargetedMisclassification
from foolbox.attacks import BoundaryAttack
from pydantic import Field
from torch import Tensor, nn

from stages.attacks.base import Access
from stages.attacks.base.decisions import Oracle
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.core.params import Count, Number
from stages.stores.perturbations import Norm


class Boundary(MinimumNorm):
    """A random walk along the boundary from a training clip of the target class; it sees nothing but decisions.

    Foolbox's steps are drawn, and their sizes adapted, for a whole batch: so each clip is a batch of its own.
    """

    norm: ClassVar[Norm] = "l2"
    access: ClassVar[Access] = "black_box"
    paper = "Brendel, Rauber, Bethge: Decision-Based Adversarial Attacks, ICLR 2018"
    needs_starting_points: ClassVar[bool] = True

    steps: Annotated[Count, Field(ge=1, le=1000000)]
    spherical_step: Annotated[Number, Field(gt=0, le=1)]
    source_step: Annotated[Number, Field(gt=0, le=1)]

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Take the end of Foolbox's walk, or the clean clip where there is no start."""
        oracle, everyone = Oracle(model, inputs), torch.arange(len(inputs))
        attack = BoundaryAttack(steps=self.steps, spherical_step=self.spherical_step, source_step=self.source_step)
        examples = inputs.clean.clone()
        for row in everyone[oracle(inputs.starts, everyone)].tolist():
            one = inputs[torch.tensor([row])]
            criterion, confined = TargetedMisclassification(one.targets), _confined(model, one)
            with torch.random.fork_rng():
                torch.manual_seed(int(one.seeds))
                examples[row] = attack.run(confined, one.clean, criterion, starting_points=one.starts)[0]
            # At most: it asks about the start, about a second point every tenth step, and may stop early.
            oracle.queries[row] += 1 + self.steps + self.steps // 10
        return Candidates(examples, oracle.queries)


def _confined(model: foolbox.PyTorchModel, one: AttackInputs) -> foolbox.PyTorchModel:
    """Show the model the walk's images of one clip only where the attack may change it."""
    inside = Confined(model, one)
    return foolbox.PyTorchModel(inside.eval(), bounds=(0, 1), device=one.clean.device)


class Confined(nn.Module):
    """A model that sees the images of one clip, but the clip itself where an attack may change nothing."""

    def __init__(self, model: foolbox.PyTorchModel, one: AttackInputs) -> None:
        """Wrap a model for one clip."""
        super().__init__()
        self.model, self.one = model, one

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits, shape (batch, classes)."""
        logits: Tensor = self.model(self.one.domain.confined(images, self.one.clean))
        return logits
