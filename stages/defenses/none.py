"""The control: the same further epochs without any adversary, so that a gain is not that of longer training."""

from typing import ClassVar

from torch import Tensor, nn

from stages.defenses import Defense
from stages.lessons import Batch, Lesson


class Control(Defense):
    """Trains on the clips as they are. No epoch is robust: the best one under attack would be a weak one by chance."""

    takes_crafted: ClassVar[bool] = False
    hardens: ClassVar[bool] = False

    def adversaries(self, model: nn.Module, batch: Batch, targets: Tensor, lesson: Lesson) -> Tensor:
        """The batch's images as they are."""
        return batch.images
