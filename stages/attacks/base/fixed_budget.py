"""Attacks that are given a budget; the smallest that suffices is found by bisection, clip by clip."""

from abc import ABC, abstractmethod
from typing import ClassVar

import foolbox
import torch
from torch import Tensor

from stages.attacks.base import Attack, SearchParams
from stages.attacks.base.bisection import Bracket
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.multiples import Multiples
from stages.attacks.base.results import AttackResult, Candidates
from stages.models.victim import Victim


class FixedBudget(Attack, ABC):
    """An attack that is given a budget."""

    largest_budget: ClassVar[float] = 1.0
    """Budget beyond which the search gives a clip up: the whole range of an image, or a change as loud as the clip."""

    @abstractmethod
    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Propose one example per clip.

        Args:
            model: the victim, in the precision of attacks.
            inputs: a batch of clips, on the device.
            budget: largest size, as the attack's norm measures what attacks see, shape (batch, 1, 1, 1).
            start: the cheapest example so far, or the end of the last try if it failed, or the clean clip, in the shape
                of the clips; an attack may go on from there.
        """

    def search(
        self, victim: Victim, inputs: AttackInputs, search: SearchParams, stop_at_success_rate: float = 1.0
    ) -> AttackResult:
        """Grow or shrink each clip's budget by a factor until it is bracketed, then bisect on a log scale.

        Every clip is tried at `search.start`. Clips that it just missed are tried there once more in the end, from the
        example of a larger budget, so that the clips fooled at `search.start` do not depend on the tolerance.
        """
        found = AttackResult.nothing(inputs)
        self.improve(found, victim, inputs, search, stop_at_success_rate)
        return found

    def improve(
        self,
        found: AttackResult,
        victim: Victim,
        inputs: AttackInputs,
        search: SearchParams,
        stop_at_success_rate: float,
    ) -> None:
        """Continue the search from the examples found before; the other arguments are those of `search`."""
        attempts = _Attempts(self, found, victim, inputs)
        thorough = stop_at_success_rate == 1
        while len(rows := _open_rows(attempts.bracket, search, self.largest_budget)) and (
            thorough or found.fooled.float().mean() < stop_at_success_rate
        ):
            attempts.make(rows, _next_budget(attempts.bracket, rows, search, self.largest_budget))
        if thorough and len(rows := _just_missed(found.cost, search)):
            attempts.make(rows, torch.full_like(found.cost[rows], search.start))
        if thorough:
            attempts.shorten()


class _Attempts:
    """The tries of one search: their results, and the points from which the next tries go on."""

    def __init__(self, attack: FixedBudget, found: AttackResult, victim: Victim, inputs: AttackInputs) -> None:
        self.attack, self.found, self.victim, self.inputs = attack, found, victim, inputs
        self.model = victim.as_foolbox()
        # The costs found are the upper ends: an example may be smaller than the budget that it was made for.
        self.bracket = Bracket(fails=torch.zeros_like(found.cost), fools=found.cost)
        self.ends = found.adversarial.clone()

    def make(self, rows: Tensor, budget: Tensor) -> None:
        """Try a budget on each of the clips at `rows`, in batches."""
        size = self.victim.compute.batch_size
        for part, limits in zip(rows.split(size), budget.split(size), strict=True):
            self._make(part, limits)
            self.bracket.narrow(part, limits, self.found.cost[part] <= limits)

    def shorten(self) -> None:
        """Bring the examples found nearer to their clips, on the straight line: the budgets tried lie apart."""
        for rows in torch.nonzero(self.found.fooled).flatten().split(self.victim.compute.batch_size):
            examples = self.found.adversarial[rows].clone()
            Multiples(self.attack, self.found, self.victim, self.inputs, rows, examples).shorten((1.0,))

    def _make(self, rows: Tensor, budget: Tensor) -> None:
        inputs, device = self.inputs[rows], self.victim.device
        there, domain = inputs.to(device), inputs.domain
        limits = domain.radius(there.clean, budget, self.attack.norm)
        tried = self.attack.examples(self.model, there, limits, self.ends[rows].to(device))
        examples = domain.settled(domain.confined(tried.examples.detach().cpu(), inputs.clean))
        cost = self.attack.verified_distances(self.victim, inputs, examples)
        # Rounding to 16 bits may bring an example beyond its budget: it counts, at the cost that it has.
        self.found.keep_better(rows, examples, cost)
        self.found.queries[rows] += tried.queries + 1
        fooled = self.found.fooled[rows].reshape(-1, 1, 1, 1)
        self.ends[rows] = torch.where(fooled, self.found.adversarial[rows], examples)


def _next_budget(bracket: Bracket, rows: Tensor, search: SearchParams, largest: float) -> Tensor:
    fails, fools = bracket.fails[rows], bracket.fools[rows]
    grown = torch.where(fails == 0, search.start, fails * search.factor).clamp(max=largest)
    shrunk = torch.where(fools > search.start, search.start, fools / search.factor).clamp(min=search.smallest)
    halfway = (fools * fails).sqrt()
    return torch.where(fools.isinf(), grown, torch.where(fails == 0, shrunk, halfway))


def _just_missed(cost: Tensor, search: SearchParams) -> Tensor:
    return torch.nonzero((cost > search.start) & (cost <= search.start * (1 + search.tolerance))).flatten()


def _open_rows(bracket: Bracket, search: SearchParams, largest: float) -> Tensor:
    fails, fools = bracket.fails, bracket.fools
    bracketed = (fails > 0) & fools.isfinite()
    hopeless = fools.isinf() & (fails >= largest)
    cheapest = fools <= search.smallest
    closed = hopeless | cheapest | (bracketed & (fools <= fails * (1 + search.tolerance)))
    return torch.nonzero(~closed).flatten()
