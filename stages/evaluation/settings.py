"""What an evaluation takes from params.yaml."""

from dataclasses import dataclass

from stages.attacks.base import AttackParams
from stages.audio.decoding import AudioParams
from stages.evaluation.image_departures import curve
from stages.representations.base import Representation


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings that an evaluation takes from params.yaml."""

    attacks: list[str]
    """Names of the attacks, in both domains."""
    attack: AttackParams
    """Budgets that the rates are reported for."""
    representation: Representation
    audio: AudioParams
    training_eps: float | None
    """Budget in L-infinity that the hardened model was trained at; None for a method without one."""

    @property
    def curve(self) -> list[float]:
        """The budgets in L-infinity that images are moved within, ascending."""
        return curve(self.attack.eps, self.training_eps)
