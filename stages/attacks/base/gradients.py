"""What attacks of our own ask a model for."""

import torch
from foolbox import PyTorchModel
from torch import Tensor
from torch.nn import functional

from stages.models.victim import logit_margin


def logit_margin_and_gradient(model: PyTorchModel, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the target's logit margin and its gradient.

    Args:
        model: the victim.
        images: the model's input, shape (batch, 1, height, width).
        targets: the target classes, shape (batch,).

    Returns:
        the margins, shape (batch,), and the gradient, shape (batch, 1, height, width).
    """
    leaf = images.detach().requires_grad_()
    margins = logit_margin(model(leaf), targets)
    (gradient,) = torch.autograd.grad(margins.sum(), leaf)
    return margins.detach(), gradient


def logit_gradients(model: PyTorchModel, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute whether the target is predicted, and the gradients of its logit and of the sum of the other logits.

    Args:
        model: the victim.
        images: the model's input, shape (batch, 1, height, width).
        targets: the target classes, shape (batch,).

    Returns:
        whether the target is predicted, shape (batch,), bool, and the gradients, both (batch, 1, height, width).
    """
    leaf = images.detach().requires_grad_()
    logits = model(leaf)
    wanted = logits.gather(1, targets[:, None]).sum()
    (towards,) = torch.autograd.grad(wanted, leaf, retain_graph=True)
    (others,) = torch.autograd.grad(logits.sum() - wanted, leaf)
    return logits.argmax(1) == targets, towards, others


def probability_gradients(model: PyTorchModel, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the same as `logit_gradients` for the softmax, up to a positive factor for each image.

    The gradients are those of the logarithm: the gradient of a small probability would vanish in rounding. The outputs
    of the softmax sum to one, so the sum of the other outputs has the opposite gradient.
    """
    leaf = images.detach().requires_grad_()
    logits = model(leaf)
    (towards,) = torch.autograd.grad(-functional.cross_entropy(logits, targets, reduction="sum"), leaf)
    return logits.argmax(1) == targets, towards, -towards
