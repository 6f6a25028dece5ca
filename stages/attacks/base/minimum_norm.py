"""Attacks that themselves look for a small perturbation."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import foolbox
import torch
from pydantic import Field
from torch import Tensor

from stages.attacks.base import Attack, SearchParams, bisection
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import AttackResult, Candidates
from stages.core.params import Count
from stages.models.victim import Victim

HALVINGS = 7
"""Number of halvings of the interval that holds the smallest multiple that fools: to 1 % of the perturbation."""


class MinimumNorm(Attack, ABC):
    """An attack that itself looks for a small perturbation."""

    overshoots: ClassVar[tuple[float, ...]] = (1.0, 1.02, 1.1)
    """Multiples of the perturbation, tried in turn: low precision may end a little short of the boundary."""

    steps: Annotated[Count, Field(ge=1)]

    @property
    def iterations(self) -> int:
        """The number of steps along one path."""
        return self.steps

    @abstractmethod
    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Propose one example per clip, or the clean clip or silence where none was found, as Foolbox returns it.

        Args:
            model: the victim; it decides in float32 for a black-box attack.
            inputs: a batch of clips, on the device.
        """

    def search(
        self, victim: Victim, inputs: AttackInputs, search: SearchParams, stop_at_success_rate: float = 1.0
    ) -> AttackResult:
        """Run the attack once, then find the smallest multiple of each perturbation that fools, by bisection."""
        found = AttackResult.nothing(inputs)
        model = victim.as_foolbox() if self.access == "white_box" else victim.as_foolbox_float32()
        for rows in torch.arange(len(inputs)).split(victim.compute.batch_size):
            tried = self.examples(model, inputs[rows].to(victim.device))
            found.queries[rows] += tried.queries
            _Multiples(self, found, victim, inputs, rows, tried.examples.detach().cpu()).shorten()
        return found


class _Multiples:
    """Multiples of the perturbations of a batch, judged by the model; the cheapest that fool are kept."""

    def __init__(
        self,
        attack: MinimumNorm,
        found: AttackResult,
        victim: Victim,
        inputs: AttackInputs,
        rows: Tensor,
        examples: Tensor,
    ) -> None:
        self.attack, self.found, self.victim, self.rows = attack, found, victim, rows
        self.inputs, self.examples = inputs[rows], examples

    def shorten(self) -> None:
        """Find a multiple that fools, then smaller ones; zeros and clean clips count as failures."""
        changed = ~_is_zero(self.examples) & ~_is_zero(self.examples - self.inputs.clean)
        upper = torch.full((len(self.inputs),), torch.inf)
        for overshoot in self.attack.overshoots:
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
