"""What attacks of our own ask a model for."""

import torch
from foolbox import PyTorchModel
from torch import Tensor
from torch.nn import functional


def lead(logits: Tensor, targets: Tensor) -> Tensor:
    """How far the target's logit is above the best other one, shape (batch,); positive where it is predicted.

    Args:
        logits: shape (batch, classes).
        targets: shape (batch,).
    """
    others = logits.scatter(1, targets[:, None], -torch.inf).amax(1)
    return logits.gather(1, targets[:, None]).squeeze(1) - others


def margin(model: PyTorchModel, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The target's lead and its gradient.

    Args:
        model: the victim.
        images: shape (batch, 1, height, width).
        targets: shape (batch,).

    Returns:
        shapes (batch,) and (batch, 1, height, width).
    """
    leaf = images.detach().requires_grad_()
    margins = lead(model(leaf), targets)
    (gradient,) = torch.autograd.grad(margins.sum(), leaf)
    return margins.detach(), gradient


def logit_slopes(model: PyTorchModel, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether the target is predicted, the gradient of its logit, and that of the sum of all other logits.

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


def probability_slopes(model: PyTorchModel, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As `logit_slopes`, of the softmax, but for a positive factor for each image: its outputs sum to one.

    It is the gradient of the logarithm: that of a small probability would vanish in rounding.
    """
    leaf = images.detach().requires_grad_()
    logits = model(leaf)
    (towards,) = torch.autograd.grad(-functional.cross_entropy(logits, targets, reduction="sum"), leaf)
    return logits.argmax(1) == targets, towards, -towards
