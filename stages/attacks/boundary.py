"""Boundary attack (Brendel et al. 2018)."""

from typing import Annotated, ClassVar

import foolbox
import torch
from foolbox import TargetedMisclassification
from foolbox.attacks import BoundaryAttack
from pydantic import Field

from stages.attacks import Clips, Knowledge, Norm, Tried
from stages.attacks._decisions import Oracle
from stages.attacks._minimum_norm import MinimumNorm
from stages.params import Count, Number


class Boundary(MinimumNorm):
    """A random walk along the boundary from a training clip of the target class; sees nothing but decisions.

    Foolbox's steps are drawn, and their sizes adapted, for a whole batch: so each clip is a batch of its own.
    """

    norm: ClassVar[Norm] = "l2"
    knowledge: ClassVar[Knowledge] = "black box"
    paper = "Brendel, Rauber, Bethge: Decision-Based Adversarial Attacks, ICLR 2018"
    begins_elsewhere: ClassVar[bool] = True

    steps: Annotated[Count, Field(ge=1, le=1000000)]
    spherical_step: Annotated[Number, Field(gt=0, le=1)]
    source_step: Annotated[Number, Field(gt=0, le=1)]

    def examples(self, model: foolbox.PyTorchModel, clips: Clips) -> Tried:
        """Where Foolbox's walk ends; the clean clips where there is no start."""
        oracle, everyone = Oracle(model, clips), torch.arange(len(clips))
        attack = BoundaryAttack(steps=self.steps, spherical_step=self.spherical_step, source_step=self.source_step)
        examples = clips.images.clone()
        for row in everyone[oracle(clips.starts, everyone)].tolist():
            one = clips[torch.tensor([row])]
            criterion = TargetedMisclassification(one.targets)
            with torch.random.fork_rng():
                torch.manual_seed(int(one.seeds))
                examples[row] = attack.run(model, one.images, criterion, starting_points=one.starts)[0]
            # At most: it asks about the start, about a second point every tenth step, and may stop early.
            oracle.passes[row] += 1 + self.steps + self.steps // 10
        return Tried(examples, oracle.passes)
