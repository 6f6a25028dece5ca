"""Adversarial weight perturbation (AWP, Wu, Xia, Wang 2020)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Displaced(nn.Module):
    """A network at other weights, a constant step away from its own weights, which the gradients are for."""

    def __init__(self, network: nn.Module, weights: dict[str, Tensor]) -> None:
        """Wrap the network, with some of its weights displaced.

        Args:
            network: the network, whose own weights stay as they are.
            weights: some of its parameters, displaced.
        """
        super().__init__()
        self.network, self.weights = network, weights

    def forward(self, images: Tensor) -> Tensor:
        """Compute the network's logits at the other weights."""
        logits: Tensor = functional_call(self.network, self.weights, (images,))
        return logits


def displaced(network: nn.Module, loss: Callable[[nn.Module], Tensor], gamma: float) -> Displaced:
    """Displace the network to where its loss is worst nearby: each weight w moves by gamma |w| g / |g|, g its gradient.

    Args:
        network: the network in training.
        loss: loss of a network, a scalar.
        gamma: size of the step relative to the weights, > 0; biases and normalisation stay.
    """
    weights = {name: weight for name, weight in network.named_parameters() if weight.dim() > 1}
    gradients = torch.autograd.grad(loss(network), list(weights.values()))
    moved = {}
    for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
        length = gamma * weight.detach().norm() / gradient.norm().clamp(min=torch.finfo(gradient.dtype).tiny)
        moved[name] = weight + length * gradient
    return Displaced(network, moved)
