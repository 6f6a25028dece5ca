"""Signed gradient descent on the waveform, within a peak (Kurakin et al. 2017)."""

from typing import ClassVar

from stages.attacks.base.in_ball import InBall
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.sound import Ball, Peak
from stages.stores.perturbations import Norm


class SoundLinf(InBall):
    """Descents by signs in a box around the clip, whose size is a share of the clip's own peak."""

    norm: ClassVar[Norm] = "peak"
    paper = "Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World, ICLR 2017"

    def ball(self, inputs: AttackInputs) -> Ball:
        """Bound the peak."""
        return Peak()
