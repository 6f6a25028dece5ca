"""Attacks that are given a budget; the smallest that suffices is found by bisection, clip by clip."""

from abc import ABC, abstractmethod

import foolbox
import torch
from torch import Tensor

from stages.attacks import Attack, Clips, Found, SearchParams, Tried
from stages.prediction import Victim

ROUNDING = 1e-7
"""A perturbation of exactly the budget may be measured so much larger in float32: each is made for so much less."""


class FixedBudget(Attack, ABC):
    """An attack that is given a budget."""

    @abstractmethod
    def examples(self, model: foolbox.PyTorchModel, clips: Clips, budget: Tensor, start: Tensor) -> Tried:
        """One example a clip.

        Args:
            model: that of `shown`.
            clips: on the device.
            budget: largest size in the attack's norm, shape (batch, 1, 1, 1).
            start: the cheapest example so far, or where the last try ended that failed, or the clean clip; an attack
                may go on from there; shape of the images.
        """

    def shown(self, victim: Victim) -> foolbox.PyTorchModel:
        """The model that examples are made on."""
        return victim.exposed()

    def search(self, victim: Victim, clips: Clips, search: SearchParams, enough: float = 1.0) -> Found:
        """Grow or shrink each clip's budget by a factor until it is bracketed, then bisect on a log scale.

        `search.start` is tried on every clip, and in the end once more, from the example of a larger budget, on those
        that it just missed: which clips it fools does not depend on the tolerance.
        """
        found = Found.nothing(clips)
        self.improve(found, victim, clips, search, enough)
        return found

    def improve(self, found: Found, victim: Victim, clips: Clips, search: SearchParams, enough: float) -> None:
        """Search from what was found already; the arguments are those of `search`."""
        failing, ends = torch.zeros_like(found.cost), found.adversarial.clone()
        model = self.shown(victim)

        def attempt(rows: Tensor, budget: Tensor) -> None:
            size = victim.compute.batch_size
            for part, limits in zip(rows.split(size), budget.split(size), strict=True):
                ends[part] = self._probe(victim, model, clips[part], found, part, limits, ends[part])
                failed = found.cost[part] > limits
                failing[part[failed]] = torch.maximum(failing[part[failed]], limits[failed])

        while len(rows := _open_rows(found.cost, failing, search)) and (
            enough == 1 or found.fooled.float().mean() < enough
        ):
            attempt(rows, _next_budget(found.cost[rows], failing[rows], search))
        if enough == 1 and len(rows := _just_missed(found.cost, search)):
            attempt(rows, torch.full_like(found.cost[rows], search.start))

    def _probe(
        self,
        victim: Victim,
        model: foolbox.PyTorchModel,
        clips: Clips,
        found: Found,
        rows: Tensor,
        budget: Tensor,
        start: Tensor,
    ) -> Tensor:
        """Try a budget on each clip; note the examples found at their rows, and return where to go on from."""
        limits = (budget - ROUNDING).clamp(min=0).to(victim.device).reshape(-1, 1, 1, 1)
        tried = self.examples(model, clips.to(victim.device), limits, start.to(victim.device))
        examples = tried.examples.detach().cpu().clamp(0, 1)
        cost = self.judged(victim, clips, examples)
        found.keep_better(rows, examples, torch.where(cost <= budget, cost, torch.inf))
        found.queries[rows] += tried.passes + 1
        return torch.where(found.fooled[rows].reshape(-1, 1, 1, 1), found.adversarial[rows], examples)


def _next_budget(cost: Tensor, failing: Tensor, search: SearchParams) -> Tensor:
    grown = torch.where(failing == 0, search.start, failing * search.factor).clamp(max=1.0)
    shrunk = torch.where(cost > search.start, search.start, cost / search.factor).clamp(min=search.smallest)
    halfway = (cost * failing).sqrt()
    return torch.where(cost.isinf(), grown, torch.where(failing == 0, shrunk, halfway))


def _just_missed(cost: Tensor, search: SearchParams) -> Tensor:
    return torch.nonzero((cost > search.start) & (cost <= search.start * (1 + search.tolerance))).flatten()


def _open_rows(cost: Tensor, failing: Tensor, search: SearchParams) -> Tensor:
    bracketed = (failing > 0) & cost.isfinite()
    hopeless = cost.isinf() & (failing >= 1)
    cheapest = cost <= search.smallest
    closed = hopeless | cheapest | (bracketed & (cost <= failing * (1 + search.tolerance)))
    return torch.nonzero(~closed).flatten()
