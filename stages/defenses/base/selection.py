"""How the epoch of a hardened model is chosen: by accuracy under a short attack on the validation clips."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from pydantic import Field
from torch import nn

from stages.attacks.base.linf import NEVER, LinfDescent, verdicts
from stages.attacks.base.prepare import cell_inputs
from stages.core.params import Count, Number, Parameters
from stages.defenses.base import Defense
from stages.models.cell import Cell
from stages.models.victim import Victim
from stages.training.baseline import accuracy
from stages.training.loop import Score


class SelectionParams(Parameters):
    """The attack on the validation clips after each epoch, by which the best epoch is chosen."""

    eps: Annotated[Number, Field(gt=0, le=1)]
    steps: Annotated[Count, Field(ge=1)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=1)]


def selection_score(defense: Defense, settings: SelectionParams, cell: Cell) -> Callable[[nn.Module], Score]:
    """Choose the score of a network after each epoch: a short attack, or accuracy where there is no adversary."""
    if defense.hardens:
        return RobustAccuracy(settings, cell)
    images, labels = cell.clips(cell.split.validation)
    return partial(accuracy, images=images, labels=labels, compute=cell.compute)


class RobustAccuracy:
    """The score of a network by the validation clips that stay right under a short targeted attack."""

    def __init__(self, settings: SelectionParams, cell: Cell) -> None:
        """Set the attack, and the cell whose validation clips are attacked."""
        self.settings, self.cell = settings, cell

    def __call__(self, network: nn.Module) -> Score:
        """Measure robust accuracy: the share of all clips that are predicted right, and also under the attack."""
        cell, victim = self.cell, Victim(network, self.cell.compute)
        inputs = cell_inputs(cell, victim, cell.split.validation)
        attacked = inputs.eligible_only()
        descent = LinfDescent(steps=self.settings.steps, rel_stepsize=self.settings.rel_stepsize, stop_margin=NEVER)
        held = int((verdicts(descent, victim, attacked, self.settings.eps) == attacked.labels).sum())
        return Score(value=held / len(inputs), accuracy=float(inputs.eligible.double().mean()), clips=len(inputs))
