"""The clips of a cell, as attacks on one of its models are given them."""

import torch

from stages.attacks.base import Attack
from stages.attacks.base.inputs import NO_STARTING_POINTS, AttackInputs, StartingPoints, attack_inputs
from stages.core.arrays import Integers
from stages.models.cell import Cell
from stages.models.victim import Victim


def cell_inputs(cell: Cell, victim: Victim, positions: Integers) -> AttackInputs:
    """Take the clips at some positions of the cell's feature store."""
    return attack_inputs(victim, cell.features, positions, cell.seed)


def starting_points(cell: Cell, victim: Victim, attack: Attack) -> StartingPoints:
    """Collect the training clips that the model gets right, for an attack that begins at one; none for any other."""
    if not attack.needs_starting_points:
        return NO_STARTING_POINTS
    images, labels = cell.clips(cell.split.train)
    right: torch.Tensor = victim.predict(images).cpu() == labels
    return StartingPoints(images[right], labels[right])
