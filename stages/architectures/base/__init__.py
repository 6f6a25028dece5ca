"""How every network is built, for one-channel images."""

from collections.abc import Sequence
from typing import cast

from torch import nn

from stages.core import plugins
from stages.core.errors import InputError

SMALLEST = 32
"""Least height and width in pixels: on smaller images some network runs out of pixels."""


def build(name: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build a network with fresh weights, drawn from PyTorch's generator.

    Args:
        name: name of the architecture, that of its file.
        input_shape: (channels, height, width) of the images; height and width at least 32, meant for up to 224.
        classes: number of classes, >= 2.

    Returns:
        a module from images, shape (batch, *input_shape), in [0, 1], to logits, shape (batch, classes). Its first layer
        normalises, so that attacks see the features as they are stored. It trains on batches of 2 and more.

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
    return cast(nn.Module, architecture.build(input_shape, classes))


def normalised(network: nn.Module) -> nn.Module:
    """Put a network behind a layer that brings images to mean 0 and variance 1, as measured in training."""
    return nn.Sequential(nn.BatchNorm2d(1, affine=False), network)
