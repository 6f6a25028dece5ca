"""How strong an attack must be: it climbs its strength schedule on validation clips."""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.attacks.base import Attack, AttackParams
from stages.attacks.base.inputs import AttackInputs
from stages.core.progress import log
from stages.models import distributed
from stages.models.victim import Victim

GAIN = 0.01
"""Share of the clips that two more levels must fool in addition; with less the attack is at its end."""


@dataclass(frozen=True)
class Tuning:
    """The strength that an attack needs for the fooling rate asked for, on validation clips."""

    attack: Attack
    """The attack at the first level that reaches the rate, or else at the weakest level within a point of the best."""
    ceiling: float
    """Share of the validation clips that the attack fools at some size; 0 if it was not tried."""
    levels: int
    """Number of levels that the attack stands above the start of its schedule."""
    clips: int
    """Number of validation clips that the attack was tried on."""
    reached: bool
    """True if the fooling rate was reached."""
    converged: bool
    """True if the rate was reached, the last two levels gained less than a point, or the schedule ended."""

    @property
    def facts(self) -> dict[str, str | int | float]:
        """The facts that a store records about the attack that made it, and about its tuning."""
        return {
            **self.attack.facts,
            "tuning_ceiling": self.ceiling,
            "tuning_clips": self.clips,
            "levels": self.levels,
            "reached": self.reached,
            "converged": self.converged,
        }

    def tell(self, what: str) -> None:
        """Log the result of the tuning, if the attack was tried; `what` names the work."""
        if self.clips and distributed.is_main_process():
            log(f"{what}: {self.ceiling:.1%} of {self.clips} validation clips fooled, level {self.levels}")


def tune(attack: Attack, victim: Victim, inputs: AttackInputs, params: AttackParams) -> Tuning:
    """Make the attack stronger until it fools the share of validation clips that `attack.fooling_rate` asks for.

    An attack that cannot be made stronger is not tried.

    Args:
        attack: the attack at the start of its schedule.
        victim: the model that is to be fooled.
        inputs: validation clips that the model predicts right.
        params: the fooling rate, the most levels and the search.
    """
    at_its_end = attack.stronger() == attack
    if at_its_end or not len(inputs):
        return Tuning(attack, 0.0, 0, 0, reached=False, converged=at_its_end)
    levels, ceilings = [attack], [_ceiling(attack, victim, inputs, params)]
    while max(ceilings) < params.fooling_rate and len(levels) <= params.max_levels:
        if _at_its_end(levels[-1], ceilings):
            break
        levels.append(levels[-1].stronger())
        ceilings.append(_ceiling(levels[-1], victim, inputs, params))
    reached = ceilings[-1] >= params.fooling_rate
    alike = max(ceilings) - GAIN
    best = len(levels) - 1 if reached else next(level for level, ceiling in enumerate(ceilings) if ceiling > alike)
    converged = reached or _at_its_end(levels[-1], ceilings)
    return Tuning(levels[best], ceilings[best], best, len(inputs), reached, converged)


def _at_its_end(strongest: Attack, ceilings: Sequence[float]) -> bool:
    stagnant = len(ceilings) > 2 and max(ceilings[-2:]) < max(ceilings[:-2]) + GAIN
    return stagnant or strongest.stronger() == strongest


def _ceiling(attack: Attack, victim: Victim, inputs: AttackInputs, params: AttackParams) -> float:
    first = params.search.first_success()
    found = attack.search(victim, inputs, first, stop_at_success_rate=params.fooling_rate)
    return int(found.fooled.sum()) / len(inputs)
