"""Random search by scores alone (Andriushchenko et al. 2020): what its attacks share, and squares of an image."""

from abc import ABC
from typing import Annotated, ClassVar

import torch
from foolbox import PyTorchModel
from pydantic import Field
from torch import Tensor

from stages.attacks.base import Access
from stages.attacks.base.fixed_budget import FixedBudget
from stages.attacks.base.goals import Goal, reached
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import Candidates
from stages.core.params import Count, Number

HALVED_AT = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the queries after which a proposal changes half as much, as in the paper."""


def changed_share(first_share: float, done: float) -> float:
    """Compute what share of a clip a proposal changes.

    Args:
        first_share: share that the first proposal changes, above 0, to 1.
        done: share of the queries that are made.

    Example:
        >>> changed_share(0.8, done=0.03)
        0.1
    """
    return first_share * 0.5 ** sum(done > mark for mark in HALVED_AT)


class RandomSearch(FixedBudget, ABC):
    """An attack that proposes changes at random, and keeps those that help by the model's scores."""

    access: ClassVar[Access] = "black_box"
    paper = "Andriushchenko et al.: Square Attack: a Query-Efficient Black-Box Adversarial Attack, ECCV 2020"

    queries: Annotated[Count, Field(ge=1, le=1000000)]
    first_share: Annotated[Number, Field(gt=0, le=1)]

    @property
    def iterations(self) -> int:
        """The number of queries of one search."""
        return self.queries


class SquareSearch:
    """Squares of bins at the end of the budget, kept where they lower the loss, from random stripes.

    A clip leaves the batch as soon as it is past the boundary by its float32 verdict.
    """

    def __init__(self, queries: int, first_share: float) -> None:
        """Set the number of queries, >= 1, and the share of the bins that the first square has."""
        self.queries, self.first_share = queries, first_share

    def run(self, model: PyTorchModel, inputs: AttackInputs, goal: Goal, budget: Tensor) -> Candidates:
        """Search each clip's ball.

        Args:
            model: the victim.
            inputs: a batch of clips, images, on the device; their generators draw the squares.
            goal: the goal of the search.
            budget: radius of each clip's L-infinity ball, shape (batch, 1, 1, 1).
        """
        clean, free = inputs.clean, inputs.domain.free(inputs.clean)
        draws = [torch.rand(self.queries + clean.shape[-1], 3, generator=each) for each in inputs.generators()]
        numbers = torch.stack(draws).to(clean)
        signs = (numbers[:, self.queries :, 0] < 0.5) * 2.0 - 1
        examples = (clean + budget * free * signs[:, None, None]).clamp(0, 1)
        queries = torch.zeros(len(inputs), dtype=torch.int64)
        lowest = torch.full((len(clean),), torch.inf, device=clean.device)
        active, tried = torch.arange(len(clean), device=clean.device), examples
        for query in range(self.queries):
            losses, done = _look(model, goal, tried, active)
            queries[active.cpu()] += 1
            better = losses < lowest[active]
            examples[active[better]], lowest[active[better]] = tried[better], losses[better]
            active = active[~done]
            if not len(active):
                break
            square = self._squares(numbers[active, query], free, clean.shape, query / self.queries)
            ends = clean[active] + budget[active] * ((numbers[active, query, 2] < 0.5) * 2.0 - 1).reshape(-1, 1, 1, 1)
            tried = torch.where(square, ends.clamp(0, 1), examples[active])
        return Candidates(examples, queries)

    def _squares(self, numbers: Tensor, free: Tensor, shape: torch.Size, done: float) -> Tensor:
        """Draw a square of each clip among the rows that may change: a mask, shape (batch, 1, height, width)."""
        height, width = int(free.sum(2).max()), shape[3]
        bins = changed_share(self.first_share, done) * height * width
        side = min(max(1, round(bins**0.5)), height, width)
        rows = torch.arange(shape[2], device=numbers.device) - (numbers[:, :1] * (height - side + 1)).floor()
        columns = torch.arange(width, device=numbers.device) - (numbers[:, 1:2] * (width - side + 1)).floor()
        inside = ((rows >= 0) & (rows < side))[:, :, None] & ((columns >= 0) & (columns < side))[:, None]
        square: Tensor = inside[:, None]
        return square


def _look(model: PyTorchModel, goal: Goal, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the losses of the clips at `rows`, and tell which of them are past the boundary."""
    with torch.no_grad():
        logits = model(images)
    return goal.losses(logits, rows), reached(model, goal, images, rows, goal.margin(logits, rows))
