"""Signed gradient steps inside an L-infinity ball, and the attacks that are made of them."""

from abc import ABC
from collections.abc import Callable
from typing import Annotated, ClassVar

import foolbox
import torch
from foolbox import PyTorchModel
from pydantic import Field
from torch import Tensor

from stages.attacks.base import Access, SearchParams
from stages.attacks.base.fixed_budget import FixedBudget
from stages.attacks.base.goals import AwayFrom, Goal, Towards, reached
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import AttackResult, Candidates
from stages.core.params import Count, Number
from stages.models.victim import Victim
from stages.stores.perturbations import Norm

NEVER = float("inf")
"""A margin at which no clip stops before the last step."""


class LinfDescent:
    """Projected gradient descent by signs (Madry et al. 2018; without a random start: Kurakin et al. 2017).

    A clip leaves the batch, and is moved no further, as soon as it is past the boundary by a margin, and by its float32
    verdict. With the margin `NEVER` all steps are taken for all clips, as Foolbox's `LinfBasicIterativeAttack` does.

    Example:
        >>> model = foolbox.PyTorchModel(torch.nn.Flatten().eval(), bounds=(0, 1))
        >>> images, budget = torch.tensor([[[[0.8, 0.5]]]]), torch.full((1, 1, 1, 1), 0.25)
        >>> descent = LinfDescent(steps=10, rel_stepsize=0.5)
        >>> descent.run(model, images, Towards(torch.tensor([1])), budget, start=images).examples
        tensor([[[[0.5500, 0.7500]]]])
    """

    def __init__(self, *, steps: int, rel_stepsize: float, momentum: float = 0.0, stop_margin: float = 0.0) -> None:
        """Set the parameters of the descent.

        Args:
            steps: number of steps, >= 1.
            rel_stepsize: size of a step, as a share of the budget.
            momentum: decay of the sum of the gradients, each divided by its L1 norm; 0 for none.
            stop_margin: margin past the boundary at which a clip stops, in logits.
        """
        self.steps, self.rel_stepsize, self.momentum, self.stop_margin = steps, rel_stepsize, momentum, stop_margin

    def run(self, model: PyTorchModel, images: Tensor, goal: Goal, budget: Tensor, start: Tensor) -> Candidates:
        """Lower the goal's loss by steps inside each clip's ball.

        Args:
            model: the victim.
            images: centres of the balls, shape (batch, 1, height, width), in [0, 1].
            goal: the goal of the descent.
            budget: radius of each clip's ball, shape (batch, 1, 1, 1).
            start: point to begin from, moved into the ball if it is outside; shape of the images.
        """
        examples = project(start, images, budget)
        velocity = torch.zeros_like(images)
        queries = torch.zeros(len(images), dtype=torch.int64)
        active = torch.arange(len(images), device=images.device)
        for _ in range(self.steps):
            if not len(active):
                break
            done, gradient = self._look(model, examples, goal, active)
            queries[active.cpu()] += 1
            active, gradient = active[~done], gradient[~done]
            velocity[active] = self.momentum * velocity[active] + gradient / _l1(gradient)
            moved = examples[active] - self.rel_stepsize * budget[active] * velocity[active].sign()
            examples[active] = project(moved, images[active], budget[active])
        return Candidates(examples, queries)

    def _look(self, model: PyTorchModel, examples: Tensor, goal: Goal, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Tell which of the clips at `rows` are past the boundary by the margin; compute the gradient of the loss."""
        leaf = examples[rows].detach().requires_grad_()
        logits = model(leaf)
        (gradient,) = torch.autograd.grad(goal.losses(logits, rows).sum(), leaf)
        margins = goal.margin(logits.detach(), rows)
        return reached(model, goal, leaf.detach(), rows, margins, self.stop_margin), gradient


Start = Callable[[AttackInputs, Tensor], Tensor]
"""Where a descent begins, for a batch of clips and its budget, shape (batch, 1, 1, 1)."""


def from_clip(inputs: AttackInputs, _budget: Tensor) -> Tensor:
    """Begin at the clips themselves."""
    return inputs.clean


def from_noise(inputs: AttackInputs, budget: Tensor) -> Tensor:
    """Begin at a random point of each clip's ball."""
    return random_points(inputs, budget, inputs.generators())


def towards_targets(inputs: AttackInputs) -> Goal:
    """Aim at the clips' targets."""
    return Towards(inputs.targets)


def away_from_labels(inputs: AttackInputs) -> Goal:
    """Aim at any class but the clips' own."""
    return AwayFrom(inputs.labels)


def verdicts(
    descent: LinfDescent,
    victim: Victim,
    inputs: AttackInputs,
    eps: float,
    *,
    goal: Callable[[AttackInputs], Goal] = towards_targets,
    start: Start = from_clip,
    surrogate: Victim | None = None,
) -> Tensor:
    """Descend from every clip within one budget, and let the model decide in float32 what it takes the examples for.

    Args:
        descent: with its steps.
        victim: the model.
        inputs: N clips.
        eps: the budget.
        goal: what the descent aims at.
        start: where it begins.
        surrogate: model that the descent looks at in place of the victim, which then sees its examples alone.

    Returns:
        predicted classes, shape (N,), on the CPU.
    """
    model, predicted = (surrogate or victim).as_foolbox(), [torch.zeros(0, dtype=torch.int64)]
    for rows in torch.arange(len(inputs)).split(victim.compute.batch_size):
        batch = inputs[rows].to(victim.device)
        budget = batch.clean.new_full((len(rows), 1, 1, 1), eps)
        found = descent.run(model, batch.clean, goal(batch), budget, start(batch, budget))
        predicted.append(victim.predict(found.examples).cpu())
    return torch.cat(predicted)


def project(images: Tensor, centre: Tensor, radius: Tensor) -> Tensor:
    """Move images to the nearest points of L-infinity balls within [0, 1]; radii have shape (batch, 1, 1, 1)."""
    return (centre + (images - centre).clamp(-radius, radius)).clamp(0, 1)


def random_points(inputs: AttackInputs, budget: Tensor, generators: list[torch.Generator]) -> Tensor:
    """Draw a uniform point of each clip's ball from the clip's own generator; it may lie outside [0, 1]."""
    corners = [torch.rand(inputs.clean.shape[1:], generator=generator) * 2 - 1 for generator in generators]
    return inputs.clean + budget * inputs.domain.free(inputs.clean) * torch.stack(corners).to(inputs.clean)


def _l1(gradient: Tensor) -> Tensor:
    return gradient.abs().mean(dim=(1, 2, 3), keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)


class OneStep(FixedBudget):
    """A single signed gradient step of the whole budget."""

    norm: ClassVar[Norm] = "linf"
    access: ClassVar[Access] = "white_box"
    paper = "Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples, ICLR 2015"

    @property
    def iterations(self) -> int:
        """The one step."""
        return 1

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Move the images by the budget against the sign of the gradient of the target's loss."""
        step = LinfDescent(steps=1, rel_stepsize=1.0, stop_margin=NEVER)
        return step.run(model, inputs.clean, Towards(inputs.targets), budget, inputs.clean)


class FromOneStep(FixedBudget, ABC):
    """An attack by several steps in the budget, which begins with the examples of a single one."""

    norm: ClassVar[Norm] = "linf"
    access: ClassVar[Access] = "white_box"

    steps: Annotated[Count, Field(ge=1, le=10000)]

    @property
    def iterations(self) -> int:
        """The number of steps of one descent."""
        return self.steps

    def search(
        self, victim: Victim, inputs: AttackInputs, search: SearchParams, stop_at_success_rate: float = 1.0
    ) -> AttackResult:
        """Search on from the examples of a single step, so that iterating never costs more than not iterating.

        The single step is left out where enough fooled clips end the search (`stop_at_success_rate` below 1): the clips
        that one step fools, with large perturbations, would come first.
        """
        if stop_at_success_rate < 1:
            found = AttackResult.nothing(inputs)
        else:
            found = OneStep(schedule={}).search(victim, inputs, search)
        self.improve(found, victim, inputs, search, stop_at_success_rate)
        return found


class Iterative(FromOneStep, ABC):
    """An attack by small steps, each projected back into the budget."""

    rel_stepsize: Annotated[Number, Field(gt=0, le=1)]

    def descend(
        self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor, momentum: float = 0.0
    ) -> Candidates:
        """Make one descent from `start`."""
        descent = LinfDescent(steps=self.steps, rel_stepsize=self.rel_stepsize, momentum=momentum)
        return descent.run(model, inputs.clean, Towards(inputs.targets), budget, start)
