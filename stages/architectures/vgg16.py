"""VGG-16 (Simonyan and Zisserman 2015) with batch normalisation, its convolutions by torchvision.

What is left of the image is pooled to 1 x 1, not 7 x 7: it is 2 x 1 after five halvings of 64 x 48. The classifier
keeps its three layers and its dropout, but is 512 wide, not 4096: 124 of the original's 138 million parameters are
there for a thousand classes. Without batch normalisation the network hardly learns at a rate that suits the others.
"""

from collections.abc import Sequence

from torch import nn
from torchvision.models.vgg import cfgs, make_layers

WIDTH = 512


def build(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build VGG-16: 15.2 million parameters at 10 classes."""
    features = make_layers(cfgs["D"], batch_norm=True)
    features[0] = nn.Conv2d(input_shape[0], 64, kernel_size=3, padding=1)
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    classifier = [nn.Linear(512, WIDTH), nn.ReLU(), nn.Dropout(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *classifier, nn.Linear(WIDTH, classes))
