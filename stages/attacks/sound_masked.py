"""A descent on the waveform below what the clip masks (Qin et al. 2019)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from stages.attacks.base import AttackParams
from stages.attacks.base.in_ball import InBall
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.sound import Ball, column
from stages.attacks.base.sound_domain import SoundDomain, heard
from stages.audio.masking import Masking
from stages.stores.perturbations import Norm

CUTS = 2
"""Number of times that a perturbation is cut off: more cost time, and leave less for the scaling."""

TINY = 1e-20
"""Magnitude that no bin is divided by less than."""


class SoundMasked(InBall):
    """Descents in which no bin of the perturbation's spectrum rises above a multiple of the masking threshold.

    The budget is that multiple: at 1 nothing is heard. The paper penalises what is heard instead; here it is cut off.
    """

    norm: ClassVar[Norm] = "masking"
    largest_budget: ClassVar[float] = 1000.0
    paper = "Qin et al.: Imperceptible, Robust, and Targeted Adversarial Examples for Speech Recognition, ICML 2019"

    def first_budget(self, settings: AttackParams) -> float:
        """Begin at the threshold itself."""
        return 1.0

    def ball(self, inputs: AttackInputs) -> Ball:
        """Bound every bin by what the clips mask there."""
        assert isinstance(inputs.domain, SoundDomain)
        masking = Masking(inputs.domain.audio.sample_rate)
        thresholds = masking.thresholds(heard(inputs.clean).cpu().numpy()).to(inputs.clean.device)
        return Masked(masking, thresholds / 2)


@dataclass(frozen=True)
class Masked:
    """The largest bin of the perturbation's spectrum, as a multiple of a threshold."""

    masking: Masking
    thresholds: Tensor
    """Thresholds, in units of the spectra of what attacks see, shape (batch, bins, frames)."""

    def steepest(self, gradient: Tensor) -> Tensor:
        """Give every bin the gradient's phase, and the magnitude of its threshold."""
        spectra = self.masking.stft(gradient.flatten(1))
        return self._sound(self.thresholds * spectra / spectra.abs().clamp(min=TINY), gradient)

    def project(self, delta: Tensor, radius: Tensor) -> Tensor:
        """Cut off what exceeds the threshold, some times, as windows overlap; then scale by what is left of it."""
        limits = radius[:, 0] * self.thresholds
        for _ in range(CUTS):
            spectra = self.masking.stft(delta.flatten(1))
            delta = self._sound(spectra * (limits / spectra.abs().clamp(min=TINY)).clamp(max=1), delta)
        excess = (self.masking.stft(delta.flatten(1)).abs() / limits).flatten(1).amax(1)
        return delta / column(excess.clamp(min=1))

    def _sound(self, spectra: Tensor, like: Tensor) -> Tensor:
        return self.masking.istft(spectra, like.shape[-1])[:, None, None]
