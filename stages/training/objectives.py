"""What training minimises: cross-entropy, and the form that every loss has."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.models.victim import channels_last
from stages.training.batches import Batch

LossFunction = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]
"""Function of model and batch: the loss, a scalar, and logits to count hits by, shape (batch, classes).

The loop takes the step. This is where a defense makes its adversaries, and weighs their loss. The model may be wrapped
by Fabric: attacks go against `distributed.unwrap(model)`.
"""


class CrossEntropy:
    """The cross-entropy of the clips as they are."""

    def __init__(self, label_smoothing: float) -> None:
        """Set the share, in [0, 1), of each label that is spread over all classes."""
        self.label_smoothing = label_smoothing

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the loss of the batch's images, and their logits."""
        return cross_entropy(model, batch.images, batch, self.label_smoothing)


def cross_entropy(model: nn.Module, images: Tensor, batch: Batch, label_smoothing: float) -> tuple[Tensor, Tensor]:
    """Compute the mean loss of images that stand in for a batch's images, and their logits.

    The labels are the clips' own and, by their partners' shares, those of the clips that are mixed in.

    Args:
        model: the model; it is put into training mode.
        images: the images, shape (batch, 1, height, width), in [0, 1].
        batch: the batch; its labels, partners and weights are used.
        label_smoothing: share of each label that is spread over all classes, in [0, 1).

    Returns:
        the loss, a scalar, and the logits, shape (batch, classes).
    """
    logits: Tensor = model.train()(channels_last(images))
    own, other = (
        functional.cross_entropy(logits.float(), labels, reduction="none", label_smoothing=label_smoothing)
        for labels in (batch.labels, batch.partner_labels)
    )
    return torch.lerp(other, own, batch.weights).mean(), logits
