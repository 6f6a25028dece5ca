"""ResNet-56 in the form for small images: three groups of nine blocks (He et al. 2016, section 4.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64)
BLOCKS_PER_GROUP = 9


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; a projection where the shape changes."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(channels, width, 3, stride)
        self.second = _convolution(width, width, 3, 1)
        self.shortcut = nn.Identity() if channels == width else _convolution(channels, width, 1, stride)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the block's output, shape (batch, width, height / stride, width / stride)."""
        return torch.relu(self.second(torch.relu(self.first(images))) + self.shortcut(images))


def _convolution(channels: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(width))


def build(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build ResNet-56: 6 x 9 + 2 = 56 layers, 0.86 million parameters at 10 classes."""
    layers: list[nn.Module] = [_convolution(input_shape[0], WIDTHS[0], 3, 1), nn.ReLU()]
    channels = WIDTHS[0]
    for width in WIDTHS:
        for _ in range(BLOCKS_PER_GROUP):
            layers.append(Block(channels, width, stride=1 if channels == width else 2))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
