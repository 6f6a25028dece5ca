"""How loud a sound must be added until a clip leaves its class: any other class will do, and so will white noise."""

from typing import ClassVar

import foolbox
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stages.attacks.base import SearchParams
from stages.attacks.base.domains import Domain
from stages.attacks.base.goals import AwayFrom, ByMargin, Goal
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.attacks.base.sound import ShrinkingDescent, SoundAttack, Steps, level
from stages.core.arrays import Flags, Floats
from stages.evaluation.attacked import Attacked
from stages.models.victim import Victim
from stages.stores.perturbations import ratio

STEPS = 50
"""Number of steps of each descent."""

FIRST_SNR = 30.0
"""Signal-to-noise ratio of the first step, in dB."""

FAINT_SNR = 60.0
"""Signal-to-noise ratio of the noise that a descent starts from, in dB."""

NOISE_SNRS = np.arange(70.0, -2.5, -2.5)
"""Signal-to-noise ratios of white noise, in dB."""


class Departure(SoundAttack, MinimumNorm):
    """An untargeted attack: a descent away from a clip's own class, as `sound_ddn` descends towards another."""

    paper = "Rony et al.: Decoupling Direction and Norm for Efficient Gradient-Based L2 Attacks, CVPR 2019"
    gamma: ClassVar[float] = 0.1

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Descend on the margin from the clip."""
        return self.descend(model, inputs, ByMargin(AwayFrom(inputs.labels)), inputs.clean)

    def descend(self, model: foolbox.PyTorchModel, inputs: AttackInputs, goal: Goal, start: Tensor) -> Candidates:
        """Descend towards a goal."""
        descent = ShrinkingDescent(Steps(self.steps, 1.0), self.gamma, ratio(FIRST_SNR))
        return descent.run(model, inputs.clean, goal, start)

    def reached(self, victim: Victim, inputs: AttackInputs, examples: Tensor) -> Tensor:
        """Tell which examples have left their class."""
        return victim.leaves(examples, inputs.labels)


class DepartureFromNoise(Departure):
    """The same on the cross-entropy, from faint noise: another way where the first one is bent."""

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Descend on the cross-entropy from noise."""
        start = inputs.clean + ratio(FAINT_SNR) * level(inputs.clean) * _noise(inputs)
        return self.descend(model, inputs, AwayFrom(inputs.labels), start.clamp(0, 1))


def departures(attacked: Attacked) -> Floats:
    """Find for each clip the smallest amplitude ratio with which it leaves its class, by descents or by any attack.

    Returns:
        ratios, shape (N,); 0 for the clips that the model gets wrong, infinite for those that no attack moved.
    """
    inputs, found = attacked.inputs.eligible_only(), attacked.worst("snr")
    ratios = np.zeros(len(found), np.float32)
    if not len(inputs):
        return ratios
    kinds = [Departure(steps=STEPS, schedule={}), DepartureFromNoise(steps=STEPS, schedule={})]
    unused = SearchParams(start=1, smallest=1, factor=2, tolerance=1)
    costs = [kind.search(attacked.victim, inputs, unused).cost.numpy() for kind in kinds]
    ratios[attacked.correct] = np.min([found[attacked.correct], *costs], axis=0)
    return ratios


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
        noisy = batch.clean + ratio(snr) * level(batch.clean) * _noise(batch)
        parts.append(victim.predict(domain.settled(noisy)).cpu() != batch.labels)
    moved: Flags = torch.cat(parts).numpy()
    return moved


def _noise(inputs: AttackInputs) -> Tensor:
    """Draw white noise of root mean square 1 for each clip, from the clip's own generator."""
    draws = [torch.randn(inputs.clean.shape[1:], generator=generator) for generator in inputs.generators()]
    return torch.stack(draws).to(inputs.clean)
