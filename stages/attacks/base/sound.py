"""What attacks on sounds share: descents in a ball around each clip, whose size is a share of the clip's own level."""

from abc import ABC
from dataclasses import dataclass
from math import cos, pi
from typing import ClassVar, Protocol

import torch
from foolbox import PyTorchModel
from torch import Tensor

from stages.attacks.base import Access, Attack
from stages.attacks.base.goals import Goal
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import Candidates
from stages.stores.perturbations import Norm, ratio

MOMENTUM = 0.75
"""Decay of the sum of the gradients: the clip's loudest bin, which all others are relative to, jumps."""

FAINT_SNR = 60.0
"""Signal-to-noise ratio of the noise that a descent may start from, in dB."""

LAST_STEP = 0.05
"""Size of the last step, as a share of the first."""


class SoundAttack(Attack, ABC):
    """An attack on the sound, through front end and network in one."""

    domain = "sound"
    norm: ClassVar[Norm] = "snr"
    access: ClassVar[Access] = "white_box"
    overshoots: ClassVar[tuple[float, ...]] = (1.0, 1.02, 1.1, 1.5, 2.0, 4.0)
    """Multiples of a perturbation, tried in turn: channels that an example must withstand may ask for more."""


class Ball(Protocol):
    """A norm of perturbations, all of shape (batch, 1, 1, samples); radii have shape (batch, 1, 1, 1)."""

    def steepest(self, gradient: Tensor) -> Tensor:
        """Find the direction of size 1, in this norm, in which a gradient rises most."""

    def project(self, delta: Tensor, radius: Tensor) -> Tensor:
        """Bring perturbations into a ball around zero."""


class RootMeanSquare:
    """The root mean square over the samples: what a signal-to-noise ratio bounds."""

    def steepest(self, gradient: Tensor) -> Tensor:
        """Scale the gradient."""
        return gradient / rms(gradient)

    def project(self, delta: Tensor, radius: Tensor) -> Tensor:
        """Scale the perturbations that are too large."""
        return delta * (radius / rms(delta)).clamp(max=1)


class Peak:
    """The largest sample."""

    def steepest(self, gradient: Tensor) -> Tensor:
        """Take the signs of the gradient."""
        return gradient.sign()

    def project(self, delta: Tensor, radius: Tensor) -> Tensor:
        """Clip the samples."""
        return delta.clamp(-radius, radius)


@dataclass(frozen=True)
class Steps:
    """The steps of a descent: their number, and the size of the first as a share of the radius."""

    count: int
    first: float

    def size(self, step: int) -> float:
        """Compute the size of a step, as a share of the radius."""
        return self.first * self.fade(step)

    def fade(self, step: int) -> float:
        """Compute the size of a step, as a share of the first: they shrink along half a cosine."""
        return LAST_STEP + (1 - LAST_STEP) * (1 + cos(pi * step / self.count)) / 2


class Look:
    """A look at the model: the margin of each example, and the sum of the gradients up to now."""

    def __init__(self, model: PyTorchModel, goal: Goal, clean: Tensor) -> None:
        """Begin with no gradients.

        Args:
            model: the victim.
            goal: the goal of the descent.
            clean: the clips, shape (batch, 1, 1, samples), in [0, 1].
        """
        self.model, self.goal = model, goal
        self.rows = torch.arange(len(clean), device=clean.device)
        self.velocity = torch.zeros_like(clean)

    def __call__(self, examples: Tensor) -> Tensor:
        """Add the gradients at the examples, each scaled alike, to the decayed sum; give the margins, (batch,)."""
        leaf = examples.detach().requires_grad_()
        logits = self.model(leaf)
        (gradient,) = torch.autograd.grad(self.goal.losses(logits, self.rows).sum(), leaf)
        step = evened(gradient)
        self.velocity = MOMENTUM * self.velocity + step / rms(step)
        return self.goal.margin(logits.detach(), self.rows)


def evened(gradient: Tensor) -> Tensor:
    """Take the roots of a gradient's samples, with their signs.

    A few samples of quiet stretches, where the image is steep, would outweigh all others; signs alone, which weigh all
    alike, lead astray where the model is smooth.
    """
    return gradient.sign() * gradient.abs().sqrt()


class BallDescent:
    """Projected descent with momentum inside a ball; the example that goes furthest beyond the boundary is kept.

    No step depends on whether an example fools, so that no verdict of low precision decides anything.
    """

    def __init__(self, ball: Ball, steps: Steps) -> None:
        """Set the norm and the steps."""
        self.ball, self.steps = ball, steps

    def run(self, model: PyTorchModel, clean: Tensor, goal: Goal, radius: Tensor, start: Tensor) -> Candidates:
        """Lower the goal's loss.

        Args:
            model: the victim.
            clean: the clips, shape (batch, 1, 1, samples), in [0, 1].
            goal: the goal of the descent.
            radius: radius of each clip's ball, shape (batch, 1, 1, 1).
            start: points to begin from, which are brought into the balls; shape of the clips.
        """
        look, best, lead = Look(model, goal, clean), clean, clean.new_full((len(clean),), -torch.inf)
        delta = self.ball.project(start - clean, radius)
        for step in range(self.steps.count + 1):
            examples = (clean + delta).clamp(0, 1)
            margins = look(examples)
            best = torch.where(column(margins > lead), examples, best)
            lead = torch.maximum(margins, lead)
            moved = delta - self.steps.size(step) * radius * self.ball.steepest(look.velocity)
            delta = self.ball.project(moved, radius)
        return Candidates.alike(best, self.steps.count + 1)


class ShrinkingDescent:
    """Gradient steps on a sphere that shrinks while the clip is beyond the boundary, and grows while it is not.

    Decoupled direction and norm (Rony et al. 2019) with momentum, in shares of each clip's level instead of one scale
    for all: a quiet clip and a loud one are attacked alike. The radius changes less and less, as the steps do: far from
    the boundary it must go a long way, near to it overshooting costs. It never exceeds the clip's own level: from
    further out, late small changes would not lead back.
    """

    def __init__(self, steps: Steps, gamma: float, first_ratio: float) -> None:
        """Set the steps.

        Args:
            steps: number of steps, and size of the first as a share of the radius.
            gamma: share by which the radius changes in the first step.
            first_ratio: first radius, as an amplitude ratio.
        """
        self.steps, self.gamma, self.first_ratio = steps, gamma, first_ratio

    def run(self, model: PyTorchModel, clean: Tensor, goal: Goal, start: Tensor) -> Candidates:
        """Find the smallest perturbation beyond the boundary that the path comes by; the clip where there is none.

        Args:
            model: the victim.
            clean: the clips, shape (batch, 1, 1, samples), in [0, 1].
            goal: the goal of the descent.
            start: points to begin from, in the shape of the clips.
        """
        look, best, smallest = Look(model, goal, clean), clean, clean.new_full((len(clean), 1, 1, 1), torch.inf)
        radius, examples, loudest = self.first_ratio * level(clean), start, level(clean)
        for step in range(self.steps.count + 1):
            beyond = column(look(examples) > 0)
            size = rms(examples - clean)
            best = torch.where(beyond & (size < smallest), examples, best)
            smallest = torch.where(beyond, torch.minimum(size, smallest), smallest)
            if step:
                change = self.gamma * self.steps.fade(step)
                shrunk = torch.minimum(radius, size) * (1 - change)
                radius = torch.where(beyond, shrunk, torch.minimum(radius * (1 + change), loudest))
            delta = examples - clean - self.steps.size(step) * radius * look.velocity / rms(look.velocity)
            examples = (clean + delta * radius / rms(delta)).clamp(0, 1)
        return Candidates.alike(best, self.steps.count + 1)


def with_noise(inputs: AttackInputs, snr: float) -> Tensor:
    """Add white noise to the clips, each from its own generator, at a signal-to-noise ratio in dB."""
    draws = [torch.randn(inputs.clean.shape[1:], generator=generator) for generator in inputs.generators()]
    return inputs.clean + ratio(snr) * level(inputs.clean) * torch.stack(draws).to(inputs.clean)


def faintly_noisy(inputs: AttackInputs) -> Tensor:
    """Begin where no bin is exactly at the floor: at the clips with noise that is hardly heard."""
    return with_noise(inputs, FAINT_SNR).clamp(0, 1)


def rms(delta: Tensor) -> Tensor:
    """Compute the root mean square of each clip's samples, never zero: shape (batch, 1, 1, 1)."""
    return delta.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=torch.finfo(delta.dtype).tiny)


def level(clean: Tensor) -> Tensor:
    """Compute the level of each clip's waveform, on the scale of what attacks see: shape (batch, 1, 1, 1)."""
    return rms(clean - 0.5)


def column(values: Tensor) -> Tensor:
    """Give each clip's value the shape (batch, 1, 1, 1)."""
    return values.reshape(-1, 1, 1, 1)
