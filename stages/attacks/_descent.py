"""Signed gradient steps inside an L-infinity ball, by Foolbox."""

from foolbox import PyTorchModel, TargetedMisclassification
from foolbox.attacks import LinfBasicIterativeAttack
from torch import Tensor


def descend(
    model: PyTorchModel, images: Tensor, targets: Tensor, budget: Tensor, *, steps: int, rel_stepsize: float
) -> Tensor:
    """Images after `steps` steps towards the targets.

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
