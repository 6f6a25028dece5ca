"""Defenses whose adversaries descend towards a wrong class: what they share."""

from abc import ABC
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stages.attacks.base.goals import Towards
from stages.attacks.base.linf import LinfDescent
from stages.core import seeding
from stages.core.params import Count, Number
from stages.defenses.base import Defense
from stages.models.victim import attack_model
from stages.training.batches import Batch, TrainingData

STOP_MARGIN = 0.1
"""Margin past the boundary, in logits, at which a clip goes no further."""


class PGDTraining(Defense, ABC):
    """Projected gradient descent towards the targets, from the clip itself, against the network as it is now."""

    eps: Annotated[Number, Field(gt=0, le=1)]
    steps: Annotated[Count, Field(ge=1)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=1)]

    def adversaries(self, network: nn.Module, batch: Batch, targets: Tensor, data: TrainingData) -> Tensor:
        """Make examples within `eps` of the images; a clip that reaches its target goes no further."""
        descent = LinfDescent(steps=self.steps, rel_stepsize=self.rel_stepsize, stop_margin=STOP_MARGIN)
        return descend(descent, self.eps, network, batch.images, batch, targets, data)


def descend(
    descent: LinfDescent,
    eps: float,
    network: nn.Module,
    start: Tensor,
    batch: Batch,
    targets: Tensor,
    data: TrainingData,
) -> Tensor:
    """Make examples against a network in training, in its evaluation mode.

    Args:
        descent: the descent, with its steps.
        eps: radius of the ball about the batch's images, in [0, 1].
        network: the network in training.
        start: images to begin from.
        batch: the batch, with the clean images.
        targets: the target classes, shape (batch,).
        data: the training data; its `compute` is used.
    """
    network.eval().requires_grad_(False)
    budget = batch.images.new_full((len(batch.images), 1, 1, 1), eps)
    model = attack_model(network, data.compute)
    try:
        return descent.run(model, batch.images, Towards(targets), budget, start).examples
    finally:
        # Also when memory was short: the step is tried again, in pieces.
        network.requires_grad_(True)


def random_start(eps: float, batch: Batch, data: TrainingData) -> Tensor:
    """Add uniform noise in [-eps, eps], drawn per clip and epoch, to the batch's images."""
    shape = batch.images.shape[1:]
    draws = (seeding.generator(data.seed, "start", batch.epoch, int(clip)) for clip in batch.indices)
    noise = np.stack([rng.uniform(-eps, eps, shape) for rng in draws]).astype(np.float32)
    return (batch.images + torch.from_numpy(noise).to(batch.images.device)).clamp(0, 1)
