"""Attacks that themselves look for a small perturbation."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import foolbox
import torch
from pydantic import Field
from torch import Tensor

from stages.attacks.base import Attack, SearchParams
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.multiples import Multiples
from stages.attacks.base.results import AttackResult, Candidates
from stages.core.params import Count
from stages.models.victim import Victim

UNUSED = SearchParams(start=1, smallest=1, factor=2, tolerance=1)
"""Parameters of a search for the budget, for attacks that search by themselves."""


class MinimumNorm(Attack, ABC):
    """An attack that itself looks for a small perturbation."""

    overshoots: ClassVar[tuple[float, ...]] = (1.0, 1.02, 1.1)
    """Multiples of the perturbation, tried in turn: low precision may end a little short of the boundary."""

    in_float32: ClassVar[bool] = False
    """True for an attack that low precision leads astray; those that see decisions alone see them in float32 too."""

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

    def costs(self, victim: Victim, inputs: AttackInputs) -> Tensor:
        """Find the size of the cheapest example of each clip, shape (N,); infinite where there is none."""
        return self.search(victim, inputs, UNUSED).cost

    def search(
        self, victim: Victim, inputs: AttackInputs, search: SearchParams, stop_at_success_rate: float = 1.0
    ) -> AttackResult:
        """Run the attack once, then find the smallest multiple of each perturbation that fools, by bisection."""
        found = AttackResult.nothing(inputs)
        exactly = self.in_float32 or self.access == "black_box"
        model = victim.as_foolbox_float32() if exactly else victim.as_foolbox()
        for rows in torch.arange(len(inputs)).split(victim.compute.batch_size):
            tried = self.examples(model, inputs[rows].to(victim.device))
            found.queries[rows] += tried.queries
            Multiples(self, found, victim, inputs, rows, tried.examples.detach().cpu()).shorten(self.overshoots)
        return found
