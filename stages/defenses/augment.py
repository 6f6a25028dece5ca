"""Retraining on clean and crafted clips: the study's way (Sallo et al. 2020, after Goodfellow et al. 2015)."""

from torch import Tensor, nn

from stages.defenses.base import Defense
from stages.training.batches import Batch, TrainingData


class Augment(Defense):
    """The defense that adds nothing to the crafted clips that `harden.crafted_share` mixes into each batch."""

    def adversaries(self, network: nn.Module, batch: Batch, targets: Tensor, data: TrainingData) -> Tensor:
        """Return the batch's images as they are."""
        return batch.images
