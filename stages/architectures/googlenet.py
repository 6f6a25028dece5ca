"""GoogLeNet (Szegedy et al. 2015) by torchvision, its first convolution for one channel.

It has batch normalisation, as torchvision's has, and no auxiliary classifiers: those were to help gradients through
before there was batch normalisation, and need larger images.
"""

from collections.abc import Sequence

from torch import nn
from torchvision.models import googlenet


def build(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build GoogLeNet: 5.6 million parameters at 10 classes."""
    network = googlenet(num_classes=classes, aux_logits=False, transform_input=False, init_weights=True)
    network.conv1.conv = nn.Conv2d(input_shape[0], 64, kernel_size=7, stride=2, padding=3, bias=False)
    built: nn.Module = network
    return built
