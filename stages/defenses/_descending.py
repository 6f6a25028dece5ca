"""Defenses whose adversaries descend towards a wrong class: what they share."""

from abc import ABC
from typing import Annotated

import numpy as np
import torch
from foolbox import TargetedMisclassification
from pydantic import Field
from torch import Tensor, nn

from stages import seeding
from stages.attacks._descent import LinfDescent
from stages.defenses import Defense
from stages.lessons import Batch, Lesson
from stages.params import Count, Number
from stages.prediction import expose


class Descending(Defense, ABC):
    """Projected gradient descent towards the targets, from the clip itself, against the model as it is now."""

    eps: Annotated[Number, Field(gt=0, le=1)]
    steps: Annotated[Count, Field(ge=1)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=1)]

    def adversaries(self, model: nn.Module, batch: Batch, targets: Tensor, lesson: Lesson) -> Tensor:
        """Examples within `eps` of the images; a clip that reaches its target goes no further."""
        attack = LinfDescent(steps=self.steps, rel_stepsize=self.rel_stepsize)
        return descended(attack, self.eps, model, batch.images, batch, targets, lesson)


def descended(
    attack: LinfDescent, eps: float, model: nn.Module, start: Tensor, batch: Batch, targets: Tensor, lesson: Lesson
) -> Tensor:
    """Examples by an attack of ours on the model in evaluation mode.

    Args:
        attack: with its steps.
        eps: radius of the ball about the batch's images, in [0, 1].
        model: in training.
        start: images to begin from.
        batch: the clean images.
        targets: shape (batch,).
        lesson: its `compute` is used.
    """
    model.eval().requires_grad_(False)
    budget = batch.images.new_full((len(batch.images), 1, 1, 1), eps)
    criterion = TargetedMisclassification(targets)
    exposed = expose(model, lesson.compute)
    try:
        return attack.run(exposed, batch.images, criterion, epsilon=budget, starting_points=start)
    finally:
        # Also when memory was short: the step is tried again, in pieces.
        model.requires_grad_(True)


def random_start(eps: float, batch: Batch, lesson: Lesson) -> Tensor:
    """The batch's images with uniform noise in [-eps, eps], drawn per clip and epoch."""
    shape = batch.images.shape[1:]
    draws = (seeding.generator(lesson.seed, "start", batch.epoch, int(clip)) for clip in batch.indices)
    noise = np.stack([rng.uniform(-eps, eps, shape) for rng in draws]).astype(np.float32)
    return (batch.images + torch.from_numpy(noise).to(batch.images.device)).clamp(0, 1)
