"""Projected gradient descent that chooses its own step sizes (Croce and Hein 2020)."""

from math import ceil

import torch
from foolbox import PyTorchModel
from torch import Tensor

from stages.attacks.base.goals import Goal, reached
from stages.attacks.base.linf import project
from stages.attacks.base.results import Candidates

MOMENTUM = 0.75
"""Share of each move that goes along the gradient; the rest goes on in the direction of the move before."""

ENOUGH = 0.75
"""Share of the steps between two checkpoints that must have lowered the loss, or else steps are halved."""


class AutoPGD:
    """Signed steps in an L-infinity ball that begin at twice the budget and are halved where they stop to help.

    A clip leaves the batch as soon as it is past the boundary by its float32 verdict. The example of another is the
    point with the lowest loss.

    Example:
        >>> model = foolbox.PyTorchModel(torch.nn.Flatten().eval(), bounds=(0, 1))
        >>> images, budget = torch.tensor([[[[0.8, 0.5]]]]), torch.full((1, 1, 1, 1), 0.25)
        >>> AutoPGD(steps=10).run(model, images, Towards(torch.tensor([1])), budget, start=images).examples
        tensor([[[[0.5500, 0.7500]]]])
    """

    def __init__(self, steps: int) -> None:
        """Set the number of steps, >= 1."""
        self.steps = steps

    def run(self, model: PyTorchModel, images: Tensor, goal: Goal, budget: Tensor, start: Tensor) -> Candidates:
        """Lower the goal's loss by steps inside each clip's ball.

        Args:
            model: the victim.
            images: centres of the balls, shape (batch, 1, height, width), in [0, 1].
            goal: the goal of the descent.
            budget: radius of each clip's ball, shape (batch, 1, 1, 1).
            start: point to begin from, moved into the ball if it is outside; shape of the images.
        """
        paths, last = _Paths(model, images, goal, budget, start), 0
        marks = checkpoints(self.steps)
        for step in range(self.steps + 1):
            paths.look()
            if step in marks:
                paths.halve_steps(step - last)
                last = step
            if step == self.steps or not len(paths.active):
                break
            paths.move(straight=step == 0)
        return Candidates(paths.examples, paths.queries)


def checkpoints(steps: int) -> set[int]:
    """Compute after which steps it is asked whether steps of this size still help (section 3.2 of the paper).

    Example:
        >>> sorted(checkpoints(100))
        [22, 41, 57, 70, 80, 87, 93, 99]
    """
    found, share, gap = set(), 0.22, 0.22
    while share < 1:
        found.add(ceil(round(share * steps, 6)))
        gap = max(gap - 0.03, 0.06)
        share += gap
    return found


class _Paths:
    """The paths of a batch, each with its point, its step and the best point that it came by."""

    def __init__(self, model: PyTorchModel, images: Tensor, goal: Goal, budget: Tensor, start: Tensor) -> None:
        self.model, self.images, self.goal, self.budget = model, images, goal, budget
        self.points = project(start, images, budget)
        self.before = self.points.clone()
        self.examples = self.points.clone()
        self.slope, self.best_slope = torch.zeros_like(images), torch.zeros_like(images)
        self.step = 2 * budget
        self.loss = torch.full((len(images),), torch.inf, device=images.device)
        self.lowest, self.lowest_before = self.loss.clone(), self.loss.clone()
        self.falls = torch.zeros_like(self.loss)
        self.just_halved = torch.ones_like(self.loss, dtype=torch.bool)
        self.active = torch.arange(len(images), device=images.device)
        self.queries = torch.zeros(len(images), dtype=torch.int64)

    def look(self) -> None:
        """Ask the model about the points; keep those that are past the boundary, and the best of the others."""
        rows = self.active
        leaf = self.points[rows].detach().requires_grad_()
        logits = self.model(leaf)
        losses = self.goal.losses(logits, rows)
        (self.slope[rows],) = torch.autograd.grad(losses.sum(), leaf)
        self.queries[rows.cpu()] += 1
        self._keep_best(rows, losses.detach())
        done = reached(self.model, self.goal, leaf.detach(), rows, self.goal.margin(logits.detach(), rows))
        self.examples[rows[done]] = self.points[rows[done]]
        self.active = rows[~done]

    def _keep_best(self, rows: Tensor, losses: Tensor) -> None:
        self.falls[rows] += (losses < self.loss[rows]).float()
        self.loss[rows] = losses
        better = rows[losses < self.lowest[rows]]
        self.lowest[better] = self.loss[better]
        self.examples[better], self.best_slope[better] = self.points[better], self.slope[better]

    def move(self, *, straight: bool) -> None:
        """Go one step along the gradient's signs, and on in the last direction unless the move is to be `straight`."""
        rows = self.active
        point, centre, limit = self.points[rows], self.images[rows], self.budget[rows]
        ahead = project(point - self.step[rows] * self.slope[rows].sign(), centre, limit)
        if not straight:
            onward = point + MOMENTUM * (ahead - point) + (1 - MOMENTUM) * (point - self.before[rows])
            ahead = project(onward, centre, limit)
        self.before[rows], self.points[rows] = point, ahead

    def halve_steps(self, interval: int) -> None:
        """Halve the steps that did not help since the last checkpoint, and go back to the best point there."""
        wandering = self.falls < ENOUGH * interval
        stuck = ~self.just_halved & (self.lowest >= self.lowest_before)
        self.just_halved, self.lowest_before = wandering | stuck, self.lowest.clone()
        self.falls.zero_()
        rows = self.active[self.just_halved[self.active]]
        self.step[rows] /= 2
        self.points[rows], self.before[rows] = self.examples[rows], self.examples[rows]
        self.slope[rows], self.loss[rows] = self.best_slope[rows], self.lowest[rows]
