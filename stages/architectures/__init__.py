"""Networks for one-channel images: one file an architecture, found by its name."""

from typing import cast

from torch import nn

from stages import plugins


def build(name: str, classes: int) -> nn.Module:
    """A network with fresh weights.

    Args:
        name: that of its file.
        classes: number of classes, >= 2.

    Returns:
        a module from images, shape (batch, 1, height, width), in [0, 1], to logits, shape (batch, classes). Its first
        layer normalises, so that attacks see the features as they are stored.

    Raises:
        InputError: unknown name.
    """
    return cast(nn.Module, plugins.module(__name__, name).build(classes))


def normalised(network: nn.Module) -> nn.Module:
    """The network behind a layer that brings images to mean 0 and variance 1, as measured in training."""
    return nn.Sequential(nn.BatchNorm2d(1, affine=False), network)
