"""Attacks on sounds that must withstand a journey, after the expectation over transformations of Athalye et al. 2018.

The expectation is over the channels, with one draw of each: equal clips are attacked alike in any batch.
"""

from collections.abc import Sequence
from functools import cached_property

import foolbox
import torch
from torch import Tensor, nn

from stages.attacks.base import AttackParams
from stages.attacks.base.domains import Domain, DomainName, ImageDomain
from stages.attacks.base.sound_domain import LEAD, SoundDomain, heard, shown
from stages.audio import channels
from stages.audio.decoding import AudioParams
from stages.core import params, seeding
from stages.core.compute import ComputeParams
from stages.models.cell import Cell
from stages.models.victim import AttackedModel, Victim
from stages.representations.base import Representation, load


class Journey(nn.Module):
    """One channel, with one draw of its noise or its room."""

    def __init__(self, name: str, sample_rate: int, seed: int, purpose: str) -> None:
        """Set the channel.

        Args:
            name: name of the channel.
            sample_rate: sample rate of the sounds, in Hz.
            seed: the run's seed.
            purpose: what the channel is drawn for; equal purposes draw alike.
        """
        super().__init__()
        self.name, self.sample_rate, self.seed, self.purpose = name, sample_rate, seed, purpose

    def forward(self, sounds: Tensor) -> Tensor:
        """Play sounds as attacks see them, shape (batch, 1, 1, samples), through the channel, within [0, 1]."""
        draw = seeding.generator(self.seed, self.purpose, self.name)
        return shown(channels.CHANNELS[self.name](heard(sounds), self.sample_rate, draw)).clamp(0, 1)


class Expectation(nn.Module):
    """A model whose logits are the mean over sounds that arrive as they are and through each of some channels."""

    def __init__(self, model: nn.Module, journeys: Sequence[nn.Module]) -> None:
        """Put a model behind channels."""
        super().__init__()
        self.model, self.journeys = model, nn.ModuleList([nn.Identity(), *journeys])

    def forward(self, sounds: Tensor) -> Tensor:
        """Compute mean logits, shape (batch, classes)."""
        return torch.stack([self.model(journey(sounds)) for journey in self.journeys]).mean(0)


class ExpectedVictim(Victim):
    """A victim behind channels: it is fooled by what fools it directly and through each channel.

    The verdict draws other noise and another room than attacks saw.
    """

    def __init__(
        self,
        network: nn.Module,
        compute: ComputeParams,
        front_end: nn.Module,
        lead: float,
        expected: Sequence[str],
        sample_rate: int,
        seed: int,
    ) -> None:
        """Set the channels.

        Args:
            network: as of `Victim`.
            compute: as of `Victim`.
            front_end: as of `Victim`; it takes sounds.
            lead: as of `Victim`.
            expected: names of the channels.
            sample_rate: sample rate of the sounds, in Hz.
            seed: the run's seed.
        """
        super().__init__(network, compute, front_end, lead)
        self.channels = tuple(expected)
        self.seen = [Journey(name, sample_rate, seed, "expectation") for name in expected]
        self.judged = [Journey(name, sample_rate, seed, "verdict") for name in expected]

    def as_foolbox(self) -> foolbox.PyTorchModel:
        """Wrap the model behind its channels for Foolbox; done once."""
        return self._expected

    @cached_property
    def _expected(self) -> foolbox.PyTorchModel:
        exact = Expectation(self.model, self.seen).eval()
        return AttackedModel(Expectation(self.lowered, self.seen).eval(), exact, self.device)

    def as_foolbox_float32(self) -> foolbox.PyTorchModel:
        """Wrap the model likewise, in float32."""
        model = Expectation(self.model, self.seen).eval()
        return foolbox.PyTorchModel(model, bounds=(0, 1), device=self.device)

    def takes(self, examples: Tensor, classes: Tensor) -> Tensor:
        """Tell which examples the model takes for given classes, directly and through each channel."""
        taken = super().takes(examples, classes)
        for journey in self.judged:
            taken &= super().takes(_played(journey, examples, self.compute.batch_size), classes)
        return taken


def _played(journey: nn.Module, sounds: Tensor, batch_size: int) -> Tensor:
    with torch.no_grad():
        return torch.cat([journey(batch) for batch in sounds.split(batch_size)])


class ExpectedSoundDomain(SoundDomain):
    """Sounds that must fool through some channels too."""

    def __init__(self, representation: Representation, audio: AudioParams, expected: Sequence[str], seed: int) -> None:
        """Set the channels, beside what a sound's domain has.

        Args:
            representation: as of `SoundDomain`.
            audio: as of `SoundDomain`.
            expected: names of the channels.
            seed: the run's seed.

        Raises:
            InputError: there is no such channel, or it needs a package that is not there.
        """
        super().__init__(representation, audio)
        for name in expected:
            channels.require(name)
        self.expected, self.seed = expected, seed

    def victim(self, cell: Cell, model: str) -> Victim:
        """Read a model that takes sounds, behind the channels."""
        rate = self.audio.sample_rate
        front_end = self.front_end()
        return ExpectedVictim(cell.model(model), cell.compute, front_end, LEAD, self.expected, rate, self.seed)


def domain(name: DomainName, representation: str, settings: AttackParams, seed: int) -> Domain:
    """Find what an attack changes, which goes with a representation, as params.yaml has it.

    Raises:
        InputError: parameters are wrong.
    """
    front_end = load(representation)
    if name == "image":
        return image_domain(front_end, settings)
    return ExpectedSoundDomain(front_end, params.read("audio", AudioParams), settings.expectation, seed)


def image_domain(representation: Representation, settings: AttackParams) -> ImageDomain:
    """Find which rows of a representation's images attacks change."""
    return ImageDomain(representation.chromagram_rows if settings.chromagram == "frozen" else 0)
