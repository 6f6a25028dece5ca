"""The control: the same further epochs without any adversary, so that a gain is not that of longer training."""

from typing import ClassVar

from torch import Tensor, nn

from stages.defenses.base import Defense
from stages.training.batches import Batch, TrainingData


class Control(Defense):
    """The control, which trains on the clips as they are; its epoch is chosen by clean accuracy.

    No epoch is robust: the best one under attack would be a weak one by chance.
    """

    takes_crafted: ClassVar[bool] = False
    hardens: ClassVar[bool] = False

    def adversaries(self, network: nn.Module, batch: Batch, targets: Tensor, data: TrainingData) -> Tensor:
        """Return the batch's images as they are."""
        return batch.images
