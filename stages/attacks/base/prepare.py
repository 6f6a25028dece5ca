"""The clips of a cell, as attacks on one of its models are given them."""

import torch

from stages.attacks.base import Attack
from stages.attacks.base.domains import IMAGE, Domain
from stages.attacks.base.inputs import NO_STARTING_POINTS, AttackInputs, StartingPoints, attack_inputs
from stages.core.arrays import Integers
from stages.models.cell import Cell
from stages.models.victim import Victim


def cell_inputs(cell: Cell, victim: Victim, positions: Integers, domain: Domain = IMAGE) -> AttackInputs:
    """Take the clips at some positions of the cell's feature store, in a domain that the victim takes."""
    return attack_inputs(victim, cell.features, positions, cell.seed, domain)


def starting_points(cell: Cell, victim: Victim, attack: Attack, domain: Domain = IMAGE) -> StartingPoints:
    """Let an attack that needs them learn from the training clips that the model gets right."""
    if not attack.needs_starting_points:
        return NO_STARTING_POINTS
    clips, labels = domain.clips(cell.features, cell.split.train), torch.from_numpy(cell.features.labels)
    right = victim.predict(clips).cpu() == labels[cell.split.train]
    return attack.starting_points(victim, clips[right], labels[cell.split.train][right])
