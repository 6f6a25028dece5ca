"""The domain of sounds: waveforms through front end and network in one, stored in 16 bits, priced by their level."""

import numpy as np
import torch
from torch import Tensor, nn

from stages.attacks.base.domains import Domain
from stages.audio import decoding
from stages.audio.channels import FULL_SCALE
from stages.audio.decoding import AudioParams
from stages.audio.masking import Masking
from stages.core import paths
from stages.core.arrays import Array, Floats, Integers
from stages.models.cell import Cell
from stages.models.victim import Victim
from stages.representations.base import Representation
from stages.stores.features import Features
from stages.stores.perturbations import Norm

SLACK = 1e-3
"""Share by which a perturbation of a sound is made smaller than its budget: rounding to 16 bits may make it grow."""

TOGETHER = 4
"""Largest number of clips that a front end takes together, in equal parts."""

LEAD = 0.01
"""Lead in logits with which a sound must reach its target: other machines and libraries round images otherwise."""


class SoundDomain(Domain):
    """Waveforms of one length, stored in 16 bits; budgets are shares of the clip's own level.

    A sound is shown to attacks as (waveform + 1) / 2, shape (N, 1, 1, samples): 16-bit samples are exact there.
    """

    name = "sound"

    def __init__(self, representation: Representation, audio: AudioParams) -> None:
        """Set what stands between a sound and the network.

        Args:
            representation: the front end, with its parameters.
            audio: the form that recordings are brought to.
        """
        self.representation, self.audio = representation, audio

    def front_end(self) -> nn.Module:
        """Build the front end, for sounds as attacks see them."""
        return OfSound(self.representation.module(self.audio.samples, self.audio.sample_rate))

    @property
    def facts(self) -> dict[str, str | int]:
        """The facts that a store records about what it holds."""
        return {"domain": self.name, "sample_rate": self.audio.sample_rate}

    def victim(self, cell: Cell, model: str) -> Victim:
        """Read a model that takes sounds: the front end and the network in one."""
        return Victim(cell.model(model), cell.compute, self.front_end(), LEAD)

    def clips(self, features: Features, positions: Integers) -> Tensor:
        """Decode recordings, and round them to 16 bits."""
        clips = features.clips[positions]
        waveforms = [decoding.load(paths.RAW / clip, self.audio) for clip in clips]
        shape = (len(clips), self.audio.samples)
        return self.settled(shown(torch.from_numpy(np.array(waveforms, np.float32).reshape(shape))))

    def stored(self, examples: Tensor) -> Array:
        """Round sounds to 16-bit samples, shape (N, samples)."""
        steps = (heard(examples) * FULL_SCALE).round().clamp(-FULL_SCALE, FULL_SCALE - 1)
        return steps.to(torch.int16).numpy()

    def restored(self, array: Array) -> Tensor:
        """Turn 16-bit samples, shape (N, samples), into sounds, shape (N, 1, 1, samples); no sample is rounded."""
        return shown(torch.from_numpy(array).float() / FULL_SCALE)

    def size(self, clean: Array, adversarial: Array, norm: Norm) -> Floats:
        """Measure 16-bit samples by `sound_size`."""
        return sound_size(clean / FULL_SCALE, adversarial / FULL_SCALE, norm, self.audio.sample_rate)

    def radius(self, clean: Tensor, budget: Tensor, norm: Norm) -> Tensor:
        """Leave room for what rounding to 16 bits adds."""
        waveforms, limits = heard(clean), budget.to(clean.device)
        match norm:
            case "snr":
                # Rounding adds noise of a twelfth of a step, squared.
                power = limits.square() * waveforms.square().mean(1) - 1 / (12 * FULL_SCALE**2)
                amplitude = (1 - SLACK) * power.clamp(min=0).sqrt()
            case "peak":
                # Of whole steps a rounded perturbation is never larger.
                amplitude = (limits * waveforms.abs().amax(1) * FULL_SCALE).floor() / FULL_SCALE
            case _:
                # What rounding adds to a bin that the clip masks nothing in is not known beforehand.
                return (1 - SLACK) * limits.reshape(-1, 1, 1, 1)
        return (amplitude / 2).reshape(-1, 1, 1, 1)


class OfSound(nn.Module):
    """A front end that takes sounds as attacks see them."""

    def __init__(self, front_end: nn.Module) -> None:
        """Wrap a front end from waveforms, shape (batch, samples), to images."""
        super().__init__()
        self.front_end = front_end

    def forward(self, sounds: Tensor) -> Tensor:
        """Make images of sounds, shape (batch, 1, 1, samples), in [0, 1]."""
        # Few at a time: the spectra of many clips do not fit the processor's cache, and each is read many times.
        parts = heard(sounds).tensor_split(-(-len(sounds) // TOGETHER))
        return torch.cat([self.front_end(part) for part in parts])


def shown(waveforms: Tensor) -> Tensor:
    """Show waveforms, shape (batch, samples), in [-1, 1], as attacks see them: shape (batch, 1, 1, samples)."""
    return ((waveforms + 1) / 2)[:, None, None]


def heard(sounds: Tensor) -> Tensor:
    """Turn sounds as attacks see them back into waveforms, shape (batch, samples)."""
    return 2 * sounds.flatten(1) - 1


def sound_size(clean: Array, adversarial: Array, norm: Norm, sample_rate: int) -> Floats:
    """Measure the perturbations of sounds, shape (N, samples), in one norm of sounds.

    Args:
        clean: samples of the clips, in [-1, 1].
        adversarial: samples of the examples.
        norm: the norm.
        sample_rate: sample rate in Hz.

    Returns:
        the sizes, shape (N,), float32; infinite for a change of a silent clip, 0 for none.

    Example:
        >>> clean = np.array([[0.5, -0.5]])
        >>> sound_size(clean, clean + np.array([[0.005, 0.0]]), "peak", 22_050)
        array([0.01], dtype=float32)
    """
    signal = clean.astype(np.float64)
    delta = adversarial.astype(np.float64) - signal
    match norm:
        case "snr":
            ratios = _ratio(np.sqrt((delta**2).mean(1)), np.sqrt((signal**2).mean(1)))
        case "peak":
            ratios = _ratio(np.abs(delta).max(1), np.abs(signal).max(1))
        case _:
            ratios = Masking(sample_rate).excess(signal.astype(np.float32), delta.astype(np.float32))
    rounded: Floats = ratios.astype(np.float32)
    return rounded


def _ratio(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(part == 0, 0.0, part / whole)
