"""What attacks of our own ask a model for."""

import torch
from foolbox import PyTorchModel
from torch import Tensor
from torch.nn import functional


def logit_margin(logits: Tensor, targets: Tensor) -> Tensor:
    """Tell how far the target's logit is above the best other one, shape (batch,); positive where it is predicted.

    Args:
        logits: shape (batch, classes).
        targets: shape (batch,).
    """
    others = logits.scatter(1, targets[:, None], -torch.inf).amax(1)
    return logits.gather(1, targets[:, None]).squeeze(1) - others


def logit_margin_and_gradient(model: PyTorchModel, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the target's logit margin and its gradient.

    Args:
        model: the victim.
        images: shape (batch, 1, height, width).
        targets: shape (batch,).

    Returns:
        shapes (batch,) and (batch, 1, height, width).
    """
    leaf = images.detach().requires_grad_()
    margins = logit_margin(model(leaf), targets)
    (gradient,) = torch.autograd.grad(margins.sum(), leaf)
    return margins.detach(), gradient


def logit_gradients(model: PyTorchModel, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tell whether the target is predicted, and the gradients of its logit and of the sum of all other logits.

    Args:
        model: the victim.
        images: shape (batch, 1, height, width).
        targets: shape (batch,).

    Returns:
        shapes (batch,), bool, and twice (batch, 1, height, width).
    """
    leaf = images.detach().requires_grad_()
    logits = model(leaf)
    wanted = logits.gather(1, targets[:, None]).sum()
    (towards,) = torch.autograd.grad(wanted, leaf, retain_graph=True)
    (others,) = torch.autograd.grad(logits.sum() - wanted, leaf)
    return logits.argmax(1) == targets, towards, others


def probability_gradients(model: PyTorchModel, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Do as `logit_gradients`, of the softmax, but for a positive factor for each image: its outputs sum to one.

    It is the gradient of the logarithm: that of a small probability would vanish in rounding.
    """
    leaf = images.detach().requires_grad_()
    logits = model(leaf)
    (towards,) = torch.autograd.grad(-functional.cross_entropy(logits, targets, reduction="sum"), leaf)
    return logits.argmax(1) == targets, towards, -towards
