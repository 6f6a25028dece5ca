"""What a step of an attack on the sound costs beside one on the image, and what makes the attack strong.

    python -m tests.benchmarks.sounds

Run after `dvc repro`, by hand. First, for two representations and an untrained ResNet-56: the time of a step on sounds
over that of a step on images, the median of some rounds. Then, on validation clips of the first cell of the grid, what
each part of `sound_ddn` gains at an equal number of passes: the median signal-to-noise ratio, in dB, at which clips are
fooled (larger is cheaper), and the share fooled within `attack.snr`.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch
from foolbox import PyTorchModel
from torch import Tensor, nn

from stages import attacks, representations
from stages.architectures.base import build
from stages.attacks import sound_ddn
from stages.attacks.base import AttackParams, sound
from stages.attacks.base.expectation import domain
from stages.attacks.base.goals import ByMargin, Towards
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.prepare import cell_inputs
from stages.attacks.base.results import Candidates
from stages.attacks.base.sound import ShrinkingDescent, Steps, faintly_noisy
from stages.attacks.base.sound_domain import OfSound
from stages.attacks.sound_ddn import SoundDDN
from stages.audio.decoding import AudioParams
from stages.core import cli, params
from stages.core.compute import ComputeParams
from stages.core.grid import MODELS, GridParams
from stages.models.cell import load_cell
from stages.models.victim import Victim
from stages.representations.base.decibels import SILENCE, Decibels
from stages.stores.perturbations import decibels, ratio

CLIPS = 16
ROUNDS = 5
CLASSES = 10
STEPPED = ("mel", "dwt_tonnetz")
HALVINGS = 5


def main() -> None:
    """Print both tables."""
    for name in STEPPED:
        tell_step(name)
    settings, grid = params.read("attack", AttackParams), params.read("grid", GridParams)
    cell = load_cell(grid.representation[0], grid.architecture[0], str(grid.fold[0]))
    threat = domain("sound", grid.representation[0], settings, cell.seed)
    for model in MODELS:
        victim = threat.victim(cell, model)
        inputs = cell_inputs(cell, victim, cell.split.validation, threat).eligible_only().subsample(CLIPS)
        for what, found in variants(victim, inputs, settings):
            snrs = decibels(np.where(np.isfinite(found), found, 1e9))
            print(f"{model}, {what}: {np.median(snrs):.1f} dB, {(snrs >= settings.snr).mean():.0%} of {len(snrs)}")


def tell_step(name: str) -> None:
    """Print how many times as long a step on the sound takes as one on the image."""
    audio, compute = params.read("audio", AudioParams), params.read("compute", ComputeParams)
    front_end = representations.load(name).module(audio.samples, audio.sample_rate)
    sounds = torch.rand(CLIPS, 1, 1, audio.samples, generator=torch.Generator().manual_seed(0))
    images = front_end(2 * sounds.flatten(1) - 1).detach()
    network = build("resnet56", tuple(images.shape[1:]), CLASSES)
    pairs = [(Victim(network, compute), images), (Victim(network, compute, OfSound(front_end)), sounds)]
    rounds = [[seconds(victim.as_foolbox(), inputs) for victim, inputs in pairs] for _ in range(ROUNDS)]
    image, heard = (1e3 * statistics.median(each) / CLIPS for each in zip(*rounds, strict=True))
    factor = statistics.median(heard / image for image, heard in rounds)
    print(f"{name}: a step on an image {image:.1f} ms a clip, on a sound {heard:.1f} ms, ratio {factor:.2f}")


def seconds(model: PyTorchModel, inputs: Tensor) -> float:
    """Measure a forward and a backward pass."""
    leaf = inputs.to(model.device).requires_grad_()
    start = time.perf_counter()
    torch.autograd.grad(model(leaf).logsumexp(1).sum(), leaf)
    return time.perf_counter() - start


def variants(victim: Victim, inputs: AttackInputs, settings: AttackParams) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the costs of each clip by `sound_ddn` as it is, and without each of its parts, by name."""
    attack = attacks.load("sound_ddn")
    assert isinstance(attack, SoundDDN)
    cases: dict[str, tuple[dict[str, object], Callable[[PyTorchModel, AttackInputs], Candidates]]] = {
        "as it is": ({}, attack.examples),
        "without momentum": ({"MOMENTUM": 0.0}, attack.examples),
        "gradients as they are": ({"evened": lambda gradient: gradient}, attack.examples),
        "signs of gradients": ({"evened": torch.sign}, attack.examples),
        "constant steps": ({"LAST_STEP": 1.0}, attack.examples),
        "halving steps": ({"Steps": HalvingSteps}, attack.examples),
        "by the margin": ({}, lambda model, inputs: by_margin(attack, model, inputs)),
        "from faint noise": ({}, lambda model, inputs: from_noise(attack, model, inputs)),
    }
    for what, (changes, examples) in cases.items():
        yield what, costs(victim, inputs, attack, settings, changes, examples)
    soften(victim.front_end)
    yield "through a softened floor", costs(victim, inputs, attack, settings, {}, attack.examples)


def costs(
    victim: Victim,
    inputs: AttackInputs,
    attack: SoundDDN,
    settings: AttackParams,
    changes: dict[str, object],
    examples: Callable[[PyTorchModel, AttackInputs], Candidates],
) -> np.ndarray:
    """Find the cost of each clip, with parts of the descent changed."""
    with ExitStack() as stack:
        for name, value in changes.items():
            stack.enter_context(patch.object(sound_ddn if name == "Steps" else sound, name, value))
        stack.enter_context(patch.object(SoundDDN, "examples", lambda _self, model, inputs: examples(model, inputs)))
        return attack.search(victim, inputs, settings.search).cost.numpy()


def descent(attack: SoundDDN) -> ShrinkingDescent:
    """Make the attack's own descent."""
    return ShrinkingDescent(Steps(attack.steps, attack.rel_stepsize), attack.gamma, ratio(attack.first_snr))


def by_margin(attack: SoundDDN, model: PyTorchModel, inputs: AttackInputs) -> Candidates:
    """Descend on the margin of the logits instead of the cross-entropy."""
    return descent(attack).run(model, inputs.clean, ByMargin(Towards(inputs.targets)), inputs.clean)


def from_noise(attack: SoundDDN, model: PyTorchModel, inputs: AttackInputs) -> Candidates:
    """Begin where no bin is exactly at the floor."""
    return descent(attack).run(model, inputs.clean, Towards(inputs.targets), faintly_noisy(inputs))


@dataclass(frozen=True)
class HalvingSteps(Steps):
    """Steps that are halved some times, at even intervals."""

    def size(self, step: int) -> float:
        """Compute the size of a step, as a share of the radius."""
        return self.first / 2.0 ** (HALVINGS * step // self.count)


class SoftFloor(Decibels):
    """The same images, with gradients below the floor, as if it were a little noise."""

    def forward(self, power: Tensor) -> Tensor:
        """Scale power as `Decibels` does."""
        hard = super().forward(power)
        relative = power / self._reference(power).clamp(min=SILENCE)
        soft = (1 + 10 / self.range_db * torch.log10(relative + 10 ** (-self.range_db / 10)))[:, None]
        return soft + (hard - soft).detach()


def soften(module: nn.Module) -> None:
    """Put soft floors in place of hard ones, wherever they are."""
    for name, child in module.named_children():
        if type(child) is Decibels:
            setattr(module, name, SoftFloor(child.range_db, child.reference))
        else:
            soften(child)


if __name__ == "__main__":
    cli.run(main)
