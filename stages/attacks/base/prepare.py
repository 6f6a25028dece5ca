"""The clips of a cell, as one attack on one of its models is given them."""

from stages.attacks.base import Attack
from stages.attacks.base.inputs import AttackInputs, attack_inputs, with_starting_points
from stages.core.arrays import Integers
from stages.models.cell import Cell
from stages.models.victim import Victim


def attacked_clips(cell: Cell, victim: Victim, attack: Attack, positions: Integers) -> AttackInputs:
    """Take the clips at some positions of the cell's feature store, with starting points if the attack needs them."""
    inputs = attack_inputs(victim, cell.features, positions, cell.seed)
    if not attack.needs_starting_points:
        return inputs
    return with_starting_points(inputs, victim, cell.features, cell.split.train)
