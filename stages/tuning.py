"""How strong an attack must be: its ladder is climbed on validation clips."""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.attacks import Attack, AttackParams, Clips
from stages.prediction import Victim

GAIN = 0.01
"""Share of the clips that two rungs must fool more, or the attack is at its end."""


@dataclass(frozen=True)
class Tuning:
    """What it took to reach the fooling rate asked for, on validation clips."""

    attack: Attack
    """The first on its ladder that reaches the rate, or else the weakest that fools as many as the strongest tried."""
    ceiling: float
    """Share of the validation clips that it fools at some size; 0 if it was not tried."""
    doublings: int
    """Rungs of the ladder that it stands on."""
    clips: int
    """That it was tried on."""
    reached: bool
    """Whether the fooling rate was reached."""
    converged: bool
    """Whether the rate was reached, the last two rungs gained less than a point, or the ladder ended."""


def tune(attack: Attack, victim: Victim, clips: Clips, params: AttackParams) -> Tuning:
    """Make the attack stronger until it fools the share of validation clips that `attack.fooling_rate` asks for.

    One that cannot be made stronger is not tried.
    """
    at_its_end = attack.stronger() == attack
    if at_its_end or not len(clips):
        return Tuning(attack, 0.0, 0, 0, reached=False, converged=at_its_end)
    rungs, ceilings = [attack], [_ceiling(attack, victim, clips, params)]
    while max(ceilings) < params.fooling_rate and len(rungs) <= params.doublings:
        if _at_its_end(rungs[-1], ceilings):
            break
        rungs.append(rungs[-1].stronger())
        ceilings.append(_ceiling(rungs[-1], victim, clips, params))
    reached = ceilings[-1] >= params.fooling_rate
    alike = max(ceilings) - GAIN
    best = len(rungs) - 1 if reached else next(rung for rung, ceiling in enumerate(ceilings) if ceiling > alike)
    converged = reached or _at_its_end(rungs[-1], ceilings)
    return Tuning(rungs[best], ceilings[best], best, len(clips), reached, converged)


def _at_its_end(strongest: Attack, ceilings: Sequence[float]) -> bool:
    stagnant = len(ceilings) > 2 and max(ceilings[-2:]) < max(ceilings[:-2]) + GAIN
    return stagnant or strongest.stronger() == strongest


def _ceiling(attack: Attack, victim: Victim, clips: Clips, params: AttackParams) -> float:
    found = attack.search(victim, clips, params.search.at_any_price(), enough=params.fooling_rate)
    return int(found.fooled.sum()) / len(clips)
