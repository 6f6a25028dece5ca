"""How loud a sound must be added until a clip leaves its class: any other class will do, and so will white noise.

One loss alone may be bent by the model: three descents are made, by other losses and from other starts. What they leave
within the budget is aimed at each other class.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stages.attacks.base.domains import Domain
from stages.attacks.base.goals import AwayFrom, ByMargin, ByRatio, Ending, Goal, Towards
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.sound import with_noise
from stages.attacks.sound_ddn import SoundDDN
from stages.core.arrays import Flags, Floats
from stages.evaluation.attacked import Attacked
from stages.evaluation.image_departures import OTHER_CLASSES
from stages.models.victim import Victim

STEPS = 40
"""Number of steps of each of the three descents."""

STEPS_TOWARDS = 60
"""Number of steps of the descent towards each other class."""

NOISE_SNRS = np.arange(70.0, -2.5, -2.5)
"""Signal-to-noise ratios of white noise, in dB."""


class Departure(SoundDDN):
    """An untargeted attack: a descent away from a clip's own class, on the margin, from the clip."""

    def goal(self, inputs: AttackInputs) -> Goal:
        """Aim at any class but the clips' own, by the margin."""
        return ByMargin(AwayFrom(inputs.labels))

    def reached(self, victim: Victim, inputs: AttackInputs, examples: Tensor) -> Tensor:
        """Tell which examples have left their class."""
        return victim.leaves(examples, inputs.labels)


class DepartureByRatio(Departure):
    """The same on the ratio of logits, whatever their scale."""

    def goal(self, inputs: AttackInputs) -> Goal:
        """Aim at any class but the clips' own, by the ratio of logits."""
        return ByRatio(AwayFrom(inputs.labels))


class DepartureFromNoise(Departure):
    """The same on the cross-entropy, from white noise as loud as the first radius."""

    def goal(self, inputs: AttackInputs) -> Goal:
        """Aim at any class but the clips' own, by the cross-entropy."""
        return AwayFrom(inputs.labels)

    def start(self, inputs: AttackInputs) -> Tensor:
        """Begin at a random point."""
        return with_noise(inputs, self.first_snr).clamp(0, 1)


class DepartureTowards(Departure):
    """The same on the cross-entropy of the clips' targets; any other class on the way there will do."""

    def goal(self, inputs: AttackInputs) -> Goal:
        """Descend towards the targets, away from the clips' own classes."""
        return Ending(Towards(inputs.targets), AwayFrom(inputs.labels))


def sound_departures(attacked: Attacked) -> Floats:
    """Find for each clip the smallest amplitude ratio known with which a descent makes it leave its class.

    Returns:
        ratios, shape (N,); 0 for the clips that the model gets wrong, infinite for those that no descent moved.
    """
    inputs, ratios = attacked.inputs.eligible_only(), np.zeros(len(attacked.inputs), np.float32)
    if not len(inputs):
        return ratios
    kinds = (Departure, DepartureByRatio, DepartureFromNoise)
    costs = [kind.of_steps(STEPS).costs(attacked.victim, inputs) for kind in kinds]
    smallest = torch.stack(costs).amin(0)
    ratios[attacked.correct] = towards_others(attacked.victim, inputs, smallest, attacked.budget).numpy()
    return ratios


def towards_others(victim: Victim, inputs: AttackInputs, found: Tensor, budget: float) -> Tensor:
    """Aim the clips that nothing moved within a budget at each other class, or at the likeliest of many.

    Only what that moves within the budget counts: at other sizes all clips are told of by the same attacks.

    Args:
        victim: the model.
        inputs: N clips that it gets right.
        found: smallest amplitude ratio known of each, shape (N,); smaller ones are written into it.
        budget: the budget, an amplitude ratio.
    """
    likeliest = victim.logits(inputs.clean).argsort(1, descending=True).cpu()
    attack = DepartureTowards.of_steps(STEPS_TOWARDS)
    for rank in range(1, min(likeliest.shape[1], OTHER_CLASSES + 1)):
        if not len(rows := torch.nonzero(found > budget).flatten()):
            break
        costs = attack.costs(victim, replace(inputs[rows], targets=likeliest[rows, rank]))
        found[rows] = torch.where(costs <= budget, costs, found[rows])
    return found


def noise_curve(attacked: Attacked) -> pd.DataFrame:
    """Tabulate the share of the eligible clips that white noise moves out of their class: `snr`, `noise`."""
    inputs = attacked.inputs.eligible_only()
    shares = [_moved_by_noise(attacked.victim, inputs, snr) for snr in NOISE_SNRS]
    means = [float(moved.mean()) if len(moved) else np.nan for moved in shares]
    return pd.DataFrame({"snr": NOISE_SNRS, "noise": means})


def _moved_by_noise(victim: Victim, inputs: AttackInputs, snr: float) -> Flags:
    domain: Domain = inputs.domain
    parts = [torch.zeros(0, dtype=torch.bool)]
    for rows in torch.arange(len(inputs)).split(victim.compute.batch_size) if len(inputs) else []:
        batch = inputs[rows]
        noisy = with_noise(batch, snr)
        parts.append(victim.predict(domain.settled(noisy)).cpu() != batch.labels)
    moved: Flags = torch.cat(parts).numpy()
    return moved
