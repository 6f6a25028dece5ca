"""Retraining on clean and crafted clips: the study's way (Sallo et al. 2020, after Goodfellow et al. 2015)."""

from torch import Tensor, nn

from stages.compute import ComputeParams
from stages.defenses import Defense


class Augment(Defense):
    """Adds nothing to the crafted clips that `harden.crafted_share` mixes into each batch."""

    def images(self, model: nn.Module, images: Tensor, targets: Tensor, compute: ComputeParams) -> Tensor:
        """The images as they are."""
        return images
