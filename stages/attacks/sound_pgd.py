"""Projected gradient descent on the waveform, within a signal-to-noise ratio (Madry et al. 2018)."""

from stages.attacks.base.in_ball import InBall
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.sound import Ball, RootMeanSquare


class SoundPGD(InBall):
    """Descents in a ball of the root mean square."""

    paper = "Madry et al.: Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018"

    def ball(self, inputs: AttackInputs) -> Ball:
        """Bound the signal-to-noise ratio."""
        return RootMeanSquare()
