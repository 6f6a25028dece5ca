"""How far an image must be changed until it leaves its class, any other class will do: the parts of AutoAttack.

At each budget of a curve Auto-PGD descends on the cross-entropy from a random point and then towards each other class,
and a random search tries without gradients; a minimum-norm attack looks for the nearest example at any distance. A clip
that one of them moved is tried no further. A clip that none of them moved within a larger budget is tried within
smaller ones by the descent on the cross-entropy alone: hardly anything would move it there. Each verdict is in float32,
on what a store could hold.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import foolbox
import numpy as np
import torch
from foolbox import Misclassification
from torch import Tensor

from stages.attacks.base.auto_pgd import AutoPGD
from stages.attacks.base.goals import AwayFrom, ByMargin, ByRatio, Ending, Goal, Towards
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.linf import from_clip, from_noise
from stages.attacks.base.random_search import SquareSearch
from stages.attacks.fmn import FMN
from stages.core.arrays import Floats
from stages.evaluation.attacked import Attacked
from stages.models.victim import Victim

CURVE = (1.0, 3.0)
"""Budgets of the curve, as multiples of `attack.eps`; the budget that the hardened model was trained at is another."""

STEPS = 50
"""Number of steps of the descent on the cross-entropy."""

STEPS_TOWARDS = 20
"""Number of steps of the descent towards each other class."""

OTHER_CLASSES = 9
"""Largest number of other classes that are aimed at, those that the model holds for likeliest."""

QUERIES = 200
"""Number of queries of the random search at each budget."""

FIRST_SHARE = 0.8
"""Share of the bins that the random search changes first."""

NEAREST_STEPS = 100
"""Number of steps of the minimum-norm attack."""


def curve(eps: float, training_eps: float | None) -> list[float]:
    """List the budgets of the curve, ascending.

    Example:
        >>> curve(0.02, 0.09)
        [0.02, 0.06, 0.09]
    """
    budgets = {round(eps * factor, 9) for factor in CURVE} | ({training_eps} if training_eps else set())
    return sorted(budget for budget in budgets if budget <= 1)


def image_departures(attacked: Attacked, budgets: Sequence[float]) -> Floats:
    """Find for each clip the smallest L-infinity size known with which it leaves its class.

    Args:
        attacked: the model, with its test clips.
        budgets: the budgets of the curve, ascending.

    Returns:
        sizes, shape (N,); 0 for the clips that the model gets wrong, infinite for those that nothing moved.
    """
    sizes = np.zeros(len(attacked.inputs), np.float32)
    if attacked.correct.any():
        search = _Search(attacked.victim, attacked.inputs.eligible_only())
        search.nearest()
        for budget in reversed(budgets):
            search.within(budget)
        sizes[attacked.correct] = search.sizes.numpy()
    return sizes


@dataclass(frozen=True)
class _Try:
    """One attack within a budget on some clips."""

    victim: Victim
    inputs: AttackInputs
    """Some of the clips, on the device."""
    budget: Tensor
    """Radius of each clip's ball, shape (batch, 1, 1, 1)."""
    likeliest: Tensor
    """The classes of each clip, from that which the model takes it for, shape (batch, classes)."""

    def on_cross_entropy(self) -> Tensor:
        """Descend from a random point of the ball."""
        return self._descend(STEPS, AwayFrom(self.inputs.labels), from_noise(self.inputs, self.budget))

    def towards(self, rank: int) -> Tensor:
        """Descend towards the class that stands at a rank of those that the model takes the clip for."""
        by, at = ByRatio(Towards(self.likeliest[:, rank])), AwayFrom(self.inputs.labels)
        return self._descend(STEPS_TOWARDS, Ending(by, at), from_clip(self.inputs, self.budget))

    def by_scores(self) -> Tensor:
        """Search at random."""
        goal = ByMargin(AwayFrom(self.inputs.labels))
        return SquareSearch(QUERIES, FIRST_SHARE).run(self._model, self.inputs, goal, self.budget).examples

    def _descend(self, steps: int, goal: Goal, start: Tensor) -> Tensor:
        return AutoPGD(steps).run(self._model, self.inputs.clean, goal, self.budget, start).examples

    @property
    def _model(self) -> foolbox.PyTorchModel:
        return self.victim.as_foolbox()


class _Search:
    """The smallest sizes found so far."""

    def __init__(self, victim: Victim, inputs: AttackInputs) -> None:
        self.victim, self.inputs = victim, inputs
        self.sizes = torch.full((len(inputs),), torch.inf)
        self.held = torch.zeros(len(inputs), dtype=torch.bool)
        """Mask of the clips that nothing moved within a budget that was tried."""
        self.likeliest = victim.logits(inputs.clean).argsort(1, descending=True).cpu()
        """The classes of each clip, from that which the model takes it for, shape (N, classes)."""

    def nearest(self) -> None:
        """Look for the nearest examples, at any distance (Pintor et al. 2021)."""
        attack = FMN.of_steps(NEAREST_STEPS).descent()
        for rows, batch in self._batches(torch.arange(len(self.inputs))):
            criterion = Misclassification(batch.labels)
            self._keep(rows, attack.run(self.victim.as_foolbox(), batch.clean, criterion))

    def within(self, budget: float) -> None:
        """Attack the clips that nothing moved within a budget, one way after the other; larger budgets come first."""
        self._try(budget, _Try.on_cross_entropy, self.sizes > budget)
        for rank in range(1, min(self.likeliest.shape[1], OTHER_CLASSES + 1)):
            self._try(budget, partial(_Try.towards, rank=rank), self._doubtful(budget))
        self._try(budget, _Try.by_scores, self._doubtful(budget))
        self.held |= self.sizes > budget

    def _doubtful(self, budget: float) -> Tensor:
        """Mask the clips that nothing moved within a budget, but something within every larger one."""
        return (self.sizes > budget) & ~self.held

    def _try(self, budget: float, way: Callable[[_Try], Tensor], left: Tensor) -> None:
        for rows, batch in self._batches(torch.nonzero(left).flatten()):
            limits = batch.domain.radius(batch.clean, torch.full((len(rows),), budget), "linf")
            self._keep(rows, way(_Try(self.victim, batch, limits, self.likeliest[rows].to(self.victim.device))))

    def _batches(self, rows: Tensor) -> Iterator[tuple[Tensor, AttackInputs]]:
        for part in rows.split(self.victim.compute.batch_size) if len(rows) else ():
            yield part, self.inputs[part].to(self.victim.device)

    def _keep(self, rows: Tensor, examples: Tensor) -> None:
        """Keep the sizes of examples that left their class and are smaller than those before."""
        inputs = self.inputs[rows]
        domain = inputs.domain
        settled = domain.settled(domain.confined(examples.detach().cpu(), inputs.clean))
        sizes = torch.from_numpy(domain.size(domain.stored(inputs.clean), domain.stored(settled), "linf"))
        moved = self.victim.leaves(settled, inputs.labels)
        self.sizes[rows] = torch.where(moved, torch.minimum(sizes, self.sizes[rows]), self.sizes[rows])
