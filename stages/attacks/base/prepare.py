"""The clips of a cell, as attacks on one of its models are given them."""

from dataclasses import dataclass

import torch

from stages.attacks.base import Attack
from stages.attacks.base.domains import IMAGE, Domain
from stages.attacks.base.inputs import NO_STARTING_POINTS, AttackInputs, StartingPoints, attack_inputs
from stages.core.arrays import Integers
from stages.models.cell import Cell
from stages.models.victim import Victim


@dataclass(frozen=True)
class Prepared:
    """One model of a cell, with what an attack on it is given."""

    victim: Victim
    validation: AttackInputs
    """Validation clips that the model gets right, to tune the attack on."""
    test: AttackInputs
    """All test clips."""


def prepare(cell: Cell, model: str, attack: Attack, domain: Domain, tuning_clips: int) -> Prepared:
    """Prepare an attack on the `baseline` or `hardened` model of a cell.

    Args:
        cell: the cell.
        model: name of the model.
        attack: the attack.
        domain: what the attack changes.
        tuning_clips: most validation clips to tune it on.
    """
    victim = domain.victim(cell, model)
    points = starting_points(cell, victim, attack, domain)
    validation = cell_inputs(cell, victim, cell.split.validation, domain).eligible_only()
    return Prepared(
        victim,
        validation.subsample(tuning_clips).starting_from(points),
        cell_inputs(cell, victim, cell.split.test, domain).starting_from(points),
    )


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
