"""How strong an attack must be: it climbs its strength schedule until more effort makes it no cheaper."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.attacks.base import Attack, AttackParams
from stages.attacks.base.inputs import AttackInputs
from stages.core.arrays import Floats
from stages.core.progress import log
from stages.models import distributed
from stages.models.victim import Victim

FALL = 0.02
"""Fall of the cost, as a share of it, below which a level is no better than the one before."""

GAIN = 0.01
"""Share of the clips that a level must fool in addition to be better, as long as the fooling rate is not reached."""

Subject = tuple[Victim, AttackInputs]
"""A model that is to be fooled, and validation clips that it predicts right."""


@dataclass(frozen=True)
class Level:
    """What an attack of one strength found of the validation clips of all models."""

    attack: Attack
    costs: list[Floats]
    """Costs of the clips by model; infinite where the attack fails."""

    @property
    def ceilings(self) -> list[float]:
        """Share of the clips that the attack fools at some size, by model."""
        return [float(np.isfinite(each).mean()) for each in self.costs]

    @property
    def ceiling(self) -> float:
        """The smallest share of any model."""
        return min(self.ceilings)

    def fall(self, before: "Level") -> float:
        """Compute by which share the cost fell since the level before, of the model where it fell most.

        It is the fall of the median cost, or the median of the clips' falls, whichever is larger: of few clips the
        median is one clip's cost, which may stay while those of most others fall.
        """
        return max(_fall(*pair) for pair in zip(before.costs, self.costs, strict=True))

    def gain(self, before: "Level") -> float:
        """Compute the largest gain in the share of clips fooled, of any model."""
        return max(now - then for then, now in zip(before.ceilings, self.ceilings, strict=True))


@dataclass(frozen=True)
class Tuning:
    """The strength that an attack needs, the same for every model, and what its tuning found."""

    attack: Attack
    """The attack at the weakest level that the next one does not better, or at the last one that was tried."""
    ceiling: float
    """Share of the validation clips that the attack fools at some size, of the model with less; 0 if not tried."""
    fall: float | None
    """Fall of the cost at the last doubling tried, as a share of it; None if none was tried."""
    levels: int
    """Number of levels that the attack stands above the start of its schedule."""
    clips: int
    """Number of validation clips that the attack was tried on, over all models."""
    reached: bool
    """True if the fooling rate was reached on every model."""
    converged: bool
    """True if the last level tried was no better than the one before, or the attack has no schedule."""

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
        } | ({} if self.fall is None else {"tuning_fall": self.fall})

    def tell(self, what: str) -> None:
        """Log the result of the tuning, if the attack was tried; `what` names the work."""
        if self.clips and distributed.is_main_process():
            fall = "" if self.fall is None else f", cost falls by {self.fall:.1%} at the last doubling"
            log(f"{what}: {self.ceiling:.1%} of {self.clips} validation clips fooled, level {self.levels}{fall}")


def tune(attack: Attack, subjects: Sequence[Subject], params: AttackParams) -> Tuning:
    """Make an attack stronger until another level makes it no cheaper on any model.

    A level is better than the one before where the cost on some model falls by `FALL`, or where the fooling rate that
    `attack.fooling_rate` asks for is not reached and more clips are fooled. All models get the same strength: what the
    hardest of them needs. An attack that cannot be made stronger is not tried.

    Args:
        attack: the attack at the start of its schedule.
        subjects: the models, with validation clips; models without clips ask for nothing.
        params: the fooling rate, the most levels and the search.
    """
    known = [(victim, inputs) for victim, inputs in subjects if len(inputs)]
    if attack.stronger() == attack or not known:
        return Tuning(attack, 0.0, None, 0, 0, reached=False, converged=attack.stronger() == attack)
    levels, better = [_measured(attack, known, params)], True
    while better and len(levels) <= params.max_levels and levels[-1].attack.stronger() != levels[-1].attack:
        levels.append(_measured(levels[-1].attack.stronger(), known, params))
        better = _better(levels[-1], levels[-2], params.fooling_rate)
    chosen = len(levels) - 1 if better else len(levels) - 2
    return Tuning(
        attack=levels[chosen].attack,
        ceiling=levels[chosen].ceiling,
        fall=levels[-1].fall(levels[-2]) if len(levels) > 1 else None,
        levels=chosen,
        clips=sum(len(inputs) for _, inputs in known),
        reached=levels[chosen].ceiling >= params.fooling_rate,
        converged=not better,
    )


def _better(level: Level, before: Level, fooling_rate: float) -> bool:
    wanting = before.ceiling < fooling_rate
    return level.fall(before) >= FALL or (wanting and level.gain(before) >= GAIN)


def _measured(attack: Attack, subjects: Sequence[Subject], params: AttackParams) -> Level:
    search = params.search.starting_at(attack.first_budget(params))
    return Level(attack, [attack.search(victim, inputs, search).cost.numpy() for victim, inputs in subjects])


def _fall(before: Floats, after: Floats) -> float:
    falls = [_share_lost(*pair) for pair in zip(before, after, strict=True)]
    return max(_share_lost(_median(before), _median(after)), _median(np.array(falls)))


def _median(values: Floats) -> float:
    return float(np.quantile(values, 0.5, method="inverted_cdf"))


def _share_lost(before: float, after: float) -> float:
    """Compute by which share a cost fell; 1 from infinite to finite, minus infinity the other way."""
    if np.isinf(before):
        return 0.0 if np.isinf(after) else 1.0
    return 1 - after / before
