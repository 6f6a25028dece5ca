"""Perturbations made as small as they still fool: along the line from each clip to its example."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stages.attacks.base import Attack, bisection
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import AttackResult
from stages.models.victim import Victim

HALVINGS = 7
"""Number of halvings of the interval that holds the smallest multiple that fools: to 1 % of the perturbation."""


class Multiples:
    """Multiples of the perturbations of a batch, judged by the model; the cheapest that fool are kept."""

    def __init__(
        self,
        attack: Attack,
        found: AttackResult,
        victim: Victim,
        inputs: AttackInputs,
        rows: Tensor,
        examples: Tensor,
    ) -> None:
        self.attack, self.found, self.victim, self.rows = attack, found, victim, rows
        self.inputs = inputs[rows]
        self.examples = inputs.domain.confined(examples, self.inputs.clean)

    def shorten(self, overshoots: Sequence[float]) -> None:
        """Find the smallest multiple that fools; zeros and clean clips count as failures.

        Args:
            overshoots: multiples that are tried first, in turn, until one fools.
        """
        changed = ~_is_zero(self.examples) & ~_is_zero(self.examples - self.inputs.clean)
        upper = torch.full((len(self.inputs),), torch.inf)
        for overshoot in overshoots:
            waiting = torch.nonzero(changed & upper.isinf()).flatten()
            fooled = self._fools(torch.full((len(waiting),), overshoot), waiting)
            upper[waiting[fooled]] = overshoot
        bisection.halve(self._fools, upper, HALVINGS)

    def _fools(self, scale: Tensor, chosen: Tensor) -> Tensor:
        """Tell which of the chosen clips are fooled by a multiple of their perturbation."""
        if not len(chosen):
            return torch.zeros(0, dtype=torch.bool)
        inputs, rows = self.inputs[chosen], self.rows[chosen]
        delta = scale.reshape(-1, 1, 1, 1) * (self.examples[chosen] - inputs.clean)
        examples = inputs.domain.settled(inputs.clean + delta)
        cost = self.attack.verified_distances(self.victim, inputs, examples)
        self.found.keep_better(rows, examples, cost)
        self.found.queries[rows] += 1
        return cost.isfinite()


def _is_zero(examples: Tensor) -> Tensor:
    """Find examples of zeros: Foolbox marks failure by them, and the model may well take them for the target."""
    return examples.flatten(1).abs().amax(1) == 0
