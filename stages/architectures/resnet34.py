"""ResNet-34 (He et al. 2016) by torchvision, its first convolution for one channel."""

from collections.abc import Sequence

from torch import nn
from torchvision.models import resnet34


def build(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build ResNet-34: 21.3 million parameters at 10 classes."""
    network = resnet34(num_classes=classes)
    network.conv1 = nn.Conv2d(input_shape[0], 64, kernel_size=7, stride=2, padding=3, bias=False)
    built: nn.Module = network
    return built
