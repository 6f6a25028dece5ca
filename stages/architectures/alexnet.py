"""AlexNet (Krizhevsky 2014, "One weird trick") by torchvision, fitted to small images of one channel.

The first convolution has a stride of 2, not 4, and pads to keep the borders, so that 32 pixels last to the end. Batch
normalisation follows every convolution: without it the network hardly learns at a rate that suits the others. What is
left of the image is pooled to 3 x 3 at most, not 6 x 6, and the classifier is 1024 wide, not 4096, of which a few
hundred clips and ten classes make no use.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torchvision.models import alexnet

WIDTH = 1024
GRID = 3


def build(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build AlexNet: 5.1 million parameters at 10 classes and 64 x 48 pixels."""
    channels, *size = input_shape
    left = [_left(pixels) for pixels in size]
    grid = [min(pixels, GRID) for pixels in left]
    classifier = [
        nn.Linear(256 * grid[0] * grid[1], WIDTH),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
    ]
    return nn.Sequential(
        *_features(channels),
        _pooling(left, grid),
        nn.Flatten(),
        nn.Dropout(),
        *classifier,
        nn.Linear(WIDTH, classes),
    )


def _left(pixels: int) -> int:
    """Compute how many pixels the first convolution and three poolings leave."""
    pixels = (pixels + 1) // 2
    for _ in range(3):
        pixels = (pixels - 3) // 2 + 1
    return pixels


def _pooling(left: Sequence[int], grid: Sequence[int]) -> nn.Module:
    """Make the pooling to a grid of means; PyTorch's adaptive pooling has no deterministic gradient on GPUs."""
    stride = [pixels // cells for pixels, cells in zip(left, grid, strict=True)]
    window = [pixels - (cells - 1) * step for pixels, cells, step in zip(left, grid, stride, strict=True)]
    return nn.AvgPool2d((window[0], window[1]), (stride[0], stride[1]))


def _features(channels: int) -> Iterator[nn.Module]:
    """Yield the layers of torchvision, each convolution followed by batch normalisation."""
    with torch.device("meta"):  # its classifier of 55 million weights is not wanted
        layers = alexnet().features
    layers[0] = nn.Conv2d(channels, 64, kernel_size=11, stride=2, padding=5)
    for layer in layers.to_empty(device="cpu"):
        yield layer
        if isinstance(layer, nn.Conv2d):
            layer.reset_parameters()
            yield nn.BatchNorm2d(layer.out_channels)
