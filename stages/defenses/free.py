"""Adversarial training for free: one gradient moves the weights and the adversaries (Shafahi et al. 2019)."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field, PrivateAttr
from torch import Tensor, nn

from stages.core.params import Count, Number
from stages.defenses.base import Defense
from stages.training.batches import Batch, TrainingData


class Free(Defense):
    """The defense by replays: between those of a batch, its perturbations climb the loss by `eps`, untargeted.

    Each batch is trained on `replays` times. The perturbations begin at zero, where the paper goes on with those of the
    batch before: so a killed run is resumed exactly, and a clip's perturbation is its own.
    """

    single_step: ClassVar[bool] = True

    eps: Annotated[Number, Field(gt=0, le=1)]
    replays: Annotated[Count, Field(ge=2, le=100)]

    _perturbations: dict[int, Tensor] = PrivateAttr(default_factory=dict)

    @property
    def steps_per_batch(self) -> int:
        """The number of times that each batch is trained on: the parameter `replays`."""
        return self.replays

    def adversaries(self, network: nn.Module, batch: Batch, targets: Tensor, data: TrainingData) -> Tensor:
        """Return the images as perturbed so far; the backward pass through them perturbs them further."""
        if batch.replay == 0:
            self._perturbations.update({int(clip): torch.zeros_like(batch.images[0]) for clip in batch.indices})
        perturbed = batch.images + torch.stack([self._perturbations[int(clip)] for clip in batch.indices])
        examples = perturbed.clamp(0, 1).requires_grad_()
        examples.register_hook(lambda gradient: self._climb(batch, gradient))
        return examples

    def _climb(self, batch: Batch, gradient: Tensor) -> None:
        for clip, part in zip(batch.indices, gradient, strict=True):
            moved = self._perturbations[int(clip)] + self.eps * part.sign()
            self._perturbations[int(clip)] = moved.clamp(-self.eps, self.eps)
