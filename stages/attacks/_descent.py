"""Signed gradient steps inside an L-infinity ball."""

from typing import Any

import torch
from foolbox import PyTorchModel, TargetedMisclassification
from foolbox.attacks import LinfBasicIterativeAttack
from foolbox.attacks.base import FixedEpsilonAttack
from foolbox.distances import linf
from torch import Tensor
from torch.nn import functional

from stages.attacks._gradients import lead


def descend(
    model: PyTorchModel, images: Tensor, targets: Tensor, budget: Tensor, *, steps: int, rel_stepsize: float
) -> Tensor:
    """Images after `steps` steps towards the targets, by Foolbox: all steps for all clips.

    Args:
        model: the victim.
        images: shape (batch, 1, height, width), in [0, 1].
        targets: shape (batch,).
        budget: radius of the ball, one a clip, shape (batch, 1, 1, 1).
        steps: number of steps, >= 1.
        rel_stepsize: size of a step, as a share of the budget.
    """
    attack = LinfBasicIterativeAttack(steps=steps, rel_stepsize=rel_stepsize, random_start=False)
    # Foolbox's signature says float, its arithmetic broadcasts: each clip has a budget of its own.
    examples: Tensor = attack.run(model, images, TargetedMisclassification(targets), epsilon=budget)  # type: ignore[arg-type]
    return examples


MARGIN = 0.1
"""Between the target's logit and the best other one: a verdict of low precision then mostly holds in float32."""


class LinfDescent(FixedEpsilonAttack):
    """As Foolbox's, but a clip leaves the batch, and is moved no further, as soon as it is fooled by `MARGIN`."""

    distance = linf

    def __init__(self, *, steps: int, rel_stepsize: float, momentum: float = 0.0) -> None:
        """Set the parameters.

        Args:
            steps: number of steps, >= 1.
            rel_stepsize: size of a step, as a share of the budget.
            momentum: decay of the sum of the gradients, each divided by its L1 norm; 0 for none.
        """
        self.steps, self.rel_stepsize, self.momentum = steps, rel_stepsize, momentum
        self.passes = torch.zeros(0, dtype=torch.int64)

    def run(  # type: ignore[override]
        self,
        model: PyTorchModel,
        inputs: Tensor,
        criterion: TargetedMisclassification,
        *,
        epsilon: Tensor,
        starting_points: Tensor,
        **kwargs: Any,
    ) -> Tensor:
        """Examples in the ball; the passes that each took are left in `passes`, shape (batch,).

        Args:
            model: the victim.
            inputs: shape (batch, 1, height, width), in [0, 1].
            criterion: the targets.
            epsilon: radius of the ball, one a clip, shape (batch, 1, 1, 1).
            starting_points: moved into the ball if they are outside; shape of the inputs.
            kwargs: none.
        """
        targets: Tensor = criterion.target_classes.raw
        examples = _projected(starting_points, inputs, epsilon)
        velocity = torch.zeros_like(inputs)
        self.passes = torch.zeros(len(inputs), dtype=torch.int64)
        active = torch.arange(len(inputs), device=inputs.device)
        for _ in range(self.steps):
            if not len(active):
                break
            fooled, gradient = _towards(model, examples[active], targets[active])
            self.passes[active.cpu()] += 1
            active, gradient = active[~fooled], gradient[~fooled]
            velocity[active] = self.momentum * velocity[active] + gradient / _l1(gradient)
            moved = examples[active] - self.rel_stepsize * epsilon[active] * velocity[active].sign()
            examples[active] = _projected(moved, inputs[active], epsilon[active])
        return examples


def _towards(model: PyTorchModel, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Which images are taken for their targets by the margin, and the gradient of the targets' cross-entropy."""
    leaf = images.detach().requires_grad_()
    logits = model(leaf)
    (gradient,) = torch.autograd.grad(functional.cross_entropy(logits, targets, reduction="sum"), leaf)
    return lead(logits, targets) > MARGIN, gradient


def _projected(images: Tensor, centre: Tensor, radius: Tensor) -> Tensor:
    return (centre + (images - centre).clamp(-radius, radius)).clamp(0, 1)


def _l1(gradient: Tensor) -> Tensor:
    return gradient.abs().mean(dim=(1, 2, 3), keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)
