"""How every network is built, for one-channel images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stages.core import plugins
from stages.core.errors import InputError

SMALLEST = 32
"""Least height and width in pixels: on smaller images some network runs out of pixels."""


LEAST_VARIANCE = 1e-5
"""Added to the variance of a row, so that one that is the same in all clips does not blow up rounding errors."""


def build(name: str, input_shape: Sequence[int], classes: int) -> "Normalised":
    """Build a network with fresh weights, drawn from PyTorch's generator.

    Args:
        name: name of the architecture, that of its file.
        input_shape: (channels, height, width) of the images; height and width at least 32, meant for up to 224.
        classes: number of classes, >= 2.

    Returns:
        a module from images, shape (batch, *input_shape), in [0, 1], to logits, shape (batch, classes). It normalises
        first, so that attacks see the features as they are stored. It trains on batches of 2 and more.

    Raises:
        InputError: unknown name, or images too small.
    """
    architecture = plugins.module("stages.architectures", name)
    height, width = input_shape[1:]
    if min(height, width) < SMALLEST:
        raise InputError(
            f"{name} needs images of {SMALLEST} x {SMALLEST} or more, they have {height} rows and {width} frames: "
            "see rows and frames of the representation in params.yaml"
        )
    return Normalised(architecture.build(input_shape, classes), height)


class Normalised(nn.Module):
    """A network behind a layer that brings each row of an image to mean 0 and variance 1.

    Rows are of unlike scale: the harmonic change of a chromagram spreads a twentieth as wide as its chroma.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, rows: int) -> None:
        """Take the network and the height of its images; before `normalise_by`, images go through as they are."""
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.zeros(1, 1, rows, 1))
        self.register_buffer("deviation", torch.ones(1, 1, rows, 1))

    def normalise_by(self, images: Tensor) -> None:
        """Take mean and deviation of each row from the training clips' images, shape (N, 1, height, width)."""
        variance, mean = torch.var_mean(images, (0, 1, 3), correction=0, keepdim=True)
        self.mean.copy_(mean)
        self.deviation.copy_((variance + LEAST_VARIANCE).sqrt())

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits, shape (batch, classes), of images, shape (batch, 1, height, width)."""
        logits: Tensor = self.network((images - self.mean) / self.deviation)
        return logits
