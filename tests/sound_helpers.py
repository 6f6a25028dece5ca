"""What several tests of attacks on sounds share: short sounds, a small front end, models that can be worked out."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.sound_domain import LEAD, SoundDomain, heard, shown
from stages.audio.decoding import AudioParams
from stages.core.compute import ComputeParams
from stages.models.victim import Victim
from stages.representations.base import restore
from tests.attack_helpers import network, to_attack

AUDIO = AudioParams(sample_rate=8000, duration=0.25)
"""Sounds of 2,000 samples."""

MEL = {"n_fft": 256, "hop_length": 64, "window": "hann", "rows": 16, "frames": 16, "range_db": 80, "reference": "peak"}
DOMAIN = SoundDomain(restore("mel", MEL), AUDIO)


class Tilt(nn.Module):
    """Logits that differ by the mean of the waveform, each sample with a sign of its own, less a threshold."""

    def __init__(self, threshold: float = 0.05, gain: float = 100.0) -> None:
        super().__init__()
        self.signs = torch.where(torch.arange(AUDIO.samples) % 7 < 3, 1.0, -1.0)
        self.threshold, self.gain = threshold, gain

    def forward(self, sounds: Tensor) -> Tensor:
        margin = self.gain * ((heard(sounds) * self.signs).mean(1) - self.threshold)
        return torch.stack([-margin, margin], dim=1)


class Deaf(nn.Module):
    """Takes everything for class 0."""

    def forward(self, sounds: Tensor) -> Tensor:
        return 0 * heard(sounds).mean(1, keepdim=True) + torch.tensor([1.0, 0.0])


def victim(compute: ComputeParams) -> Victim:
    """A small network behind the front end."""
    return Victim(network(), compute, DOMAIN.front_end(), LEAD)


def directly(model: nn.Module, compute: ComputeParams) -> Victim:
    """A victim that takes sounds without a front end."""
    return Victim(model, compute, lead=LEAD)


def sounds(rng: np.random.Generator, count: int = 8) -> Tensor:
    """Chords in noise, of all levels, rounded to 16 bits: shape (count, 1, 1, samples)."""
    time = np.arange(AUDIO.samples) / AUDIO.sample_rate
    pitches = rng.uniform(100, 3500, (count, 3, 1))
    chords = np.sin(2 * np.pi * pitches * time).sum(1) * rng.uniform(0.01, 0.2, (count, 1))
    noisy = chords + rng.normal(0, 0.01, chords.shape)
    return DOMAIN.settled(shown(torch.from_numpy(noisy.astype(np.float32))))


def towards(model: Victim, clips: Tensor, target: int | None = None) -> AttackInputs:
    """Clips of the classes that they are taken for, each with a target, which may be one for all."""
    logits = model.logits(clips).cpu()
    labels = logits.argmax(1)
    targets = logits.topk(2)[1][:, 1] if target is None else torch.full((len(clips),), target)
    chosen = targets != labels
    given = to_attack(clips, targets)
    return replace(given, domain=DOMAIN, labels=labels)[chosen]
