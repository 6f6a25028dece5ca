"""Targeted attacks through Foolbox: one file an attack, found by its name.

An attack proposes examples; this package chooses the clips, searches the smallest budget for each, keeps the best
example, and takes no word for success but the victim's float32 verdict on the array that is stored.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, Self

import foolbox
import torch
from pydantic import Field
from torch import Tensor

from stages import params, plugins
from stages.console import Progress
from stages.params import Count, Number, Parameters
from stages.prediction import Victim

Norm = Literal["linf", "l2", "l1"]


class SearchParams(Parameters):
    """How the smallest budget that fools a clip is searched."""

    start: Annotated[Number, Field(gt=0, le=1)]
    smallest: Annotated[Number, Field(gt=0, le=1)]
    factor: Annotated[Number, Field(gt=1, le=100)]
    tolerance: Annotated[Number, Field(ge=0.001, le=10)]


class AttackParams(Parameters):
    """What holds for every attack."""

    eps: Annotated[Number, Field(gt=0, le=1)]
    fooling_rate: Annotated[Number, Field(gt=0, le=1)]
    tuning_clips: Annotated[Count, Field(ge=1)]
    doublings: Annotated[Count, Field(ge=0, le=10)]
    search: SearchParams


@dataclass(frozen=True)
class Clips:
    """N clips to be fooled, on the CPU."""

    images: Tensor
    """Shape (N, 1, height, width), in [0, 1]."""
    targets: Tensor
    """Shape (N,)."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: Tensor) -> "Clips":
        return Clips(self.images[chosen], self.targets[chosen])


@dataclass
class Found:
    """The cheapest example found so far for each of N clips."""

    adversarial: Tensor
    """Shape (N, 1, height, width); the clean clip where none was found."""
    cost: Tensor
    """Size of the perturbation in the attack's norm, shape (N,); infinite where none was found."""
    queries: Tensor
    """Forward and backward passes, shape (N,)."""

    @classmethod
    def nothing(cls, clips: Clips) -> "Found":
        """Before the first try."""
        count = len(clips)
        return cls(clips.images.clone(), torch.full((count,), torch.inf), torch.zeros(count, dtype=torch.int64))

    @property
    def fooled(self) -> Tensor:
        """Whether an example was found, shape (N,)."""
        return self.cost.isfinite()

    def keep_better(self, rows: Tensor, examples: Tensor, cost: Tensor) -> None:
        """Take those examples, of the clips at `rows`, that cost less than what is there."""
        better = cost < self.cost[rows]
        self.adversarial[rows[better]] = examples[better]
        self.cost[rows[better]] = cost[better]


class Attack(Parameters, ABC):
    """An attack with its parameters."""

    norm: ClassVar[Norm]
    """That it minimises or is bounded in."""
    knowledge: ClassVar[Literal["white box", "black box"]]
    paper: ClassVar[str]

    @abstractmethod
    def search(self, victim: Victim, clips: Clips, search: SearchParams, what: str, enough: float = 1.0) -> Found:
        """The cheapest example for each clip.

        Args:
            victim: who is to be fooled.
            clips: none of which is predicted as its target already.
            search: how the smallest budget is searched.
            what: the work, for progress.
            enough: share of fooled clips after which the search may end.
        """

    @property
    @abstractmethod
    def passes(self) -> int:
        """Forward and backward passes of one call of `examples`, a clip."""

    @abstractmethod
    def stronger(self) -> Self:
        """The attack with twice the effort, or itself where it has no such parameter."""

    def price(self, clean: Tensor, examples: Tensor) -> Tensor:
        """Size of each perturbation in the attack's norm, shape (N,)."""
        delta = (examples - clean).abs().flatten(1)
        match self.norm:
            case "linf":
                return delta.amax(1)
            case "l2":
                return delta.square().mean(1).sqrt()
            case "l1":
                return delta.mean(1)

    def judged(self, victim: Victim, clips: Clips, examples: Tensor) -> Tensor:
        """Price of the examples that the victim puts in the target class, infinity for the others, shape (N,)."""
        fooled = victim.predict(examples).cpu() == clips.targets
        return torch.where(fooled, self.price(clips.images, examples), torch.inf)


class FixedBudget(Attack, ABC):
    """An attack that is given a budget; the smallest that suffices is found by bisection, clip by clip."""

    @abstractmethod
    def examples(self, model: foolbox.PyTorchModel, images: Tensor, targets: Tensor, budget: Tensor) -> Tensor:
        """One example a clip.

        Args:
            model: the victim.
            images: shape (batch, 1, height, width), on the device.
            targets: shape (batch,).
            budget: largest size in the attack's norm, shape (batch, 1, 1, 1).
        """

    def search(self, victim: Victim, clips: Clips, search: SearchParams, what: str, enough: float = 1.0) -> Found:
        """Grow or shrink each clip's budget by a factor until it is bracketed, then bisect on a log scale."""
        found = Found.nothing(clips)
        failing = torch.zeros(len(clips))
        budget = torch.full((len(clips),), search.start)
        progress = Progress(what, len(clips))
        open_rows = torch.arange(len(clips))
        model = victim.exposed()
        while len(open_rows) and (enough == 1 or found.fooled.float().mean() < enough):
            self._probe(victim, model, clips, found, open_rows, budget, failing)
            budget = _next_budget(found.cost, failing, search)
            still = open_rows[_is_open(found.cost, failing, search)[open_rows]]
            progress.add(len(open_rows) - len(still), note=f"{found.fooled.float().mean():.0%} fooled at some size")
            open_rows = still
        progress.close()
        return found

    def _probe(
        self,
        victim: Victim,
        model: foolbox.PyTorchModel,
        clips: Clips,
        found: Found,
        rows: Tensor,
        budget: Tensor,
        failing: Tensor,
    ) -> None:
        """Try a budget on each of the rows; note the example found, or the budget as failing."""
        for part in rows.split(victim.compute.batch_size):
            chosen = clips[part]
            images, targets = chosen.images.to(victim.device), chosen.targets.to(victim.device)
            limits = budget[part].to(victim.device).reshape(-1, 1, 1, 1)
            raw = self.examples(model, images, targets, limits)
            examples = (images + (raw - images).clamp(-limits, limits)).clamp(0, 1) if self.norm == "linf" else raw
            cost = self.judged(victim, chosen, examples := examples.cpu())
            found.keep_better(part, examples, cost)
            found.queries[part] += self.passes
            failed = cost.isinf()
            failing[part[failed]] = torch.maximum(failing[part[failed]], budget[part[failed]])


def _next_budget(cost: Tensor, failing: Tensor, search: SearchParams) -> Tensor:
    grown = (failing * search.factor).clamp(max=1.0)
    shrunk = (cost / search.factor).clamp(min=search.smallest)
    halfway = (cost * failing).sqrt()
    return torch.where(cost.isinf(), grown, torch.where(failing == 0, shrunk, halfway))


def _is_open(cost: Tensor, failing: Tensor, search: SearchParams) -> Tensor:
    bracketed = (failing > 0) & cost.isfinite()
    hopeless = cost.isinf() & (failing >= 1)
    # Within the tolerance: a perturbation of exactly this size is measured a rounding error larger.
    cheapest = cost <= search.smallest * (1 + search.tolerance)
    return ~(hopeless | cheapest | (bracketed & (cost <= failing * (1 + search.tolerance))))


class MinimumNorm(Attack, ABC):
    """An attack that itself looks for a small perturbation."""

    SCALES: ClassVar[tuple[float, ...]] = (0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)
    """Multiples of the perturbation that are judged too: gradients of low precision end a little off the boundary."""

    @abstractmethod
    def examples(self, model: foolbox.PyTorchModel, images: Tensor, targets: Tensor) -> Tensor:
        """One example a clip, the clean one or silence where none was found, as Foolbox returns it."""

    def search(self, victim: Victim, clips: Clips, search: SearchParams, what: str, enough: float = 1.0) -> Found:
        """One run, then the cheapest multiple of each perturbation that fools the victim."""
        found = Found.nothing(clips)
        progress = Progress(what, len(clips))
        model = victim.exposed()
        for part in torch.arange(len(clips)).split(victim.compute.batch_size):
            chosen = clips[part]
            raw = self.examples(model, chosen.images.to(victim.device), chosen.targets.to(victim.device)).cpu()
            for scale in self.SCALES:
                examples = (chosen.images + scale * (raw - chosen.images)).clamp(0, 1)
                cost = self.judged(victim, chosen, examples)
                found.keep_better(part, examples, torch.where(_is_silence(raw), torch.inf, cost))
            found.queries[part] += self.passes + len(self.SCALES)
            progress.add(len(part))
        progress.close()
        return found


def _is_silence(images: Tensor) -> Tensor:
    """Foolbox marks failure with an image of zeros, which the victim may well take for the target."""
    return images.flatten(1).abs().amax(1) == 0


@dataclass(frozen=True)
class Tuning:
    """What it took to reach the fooling rate asked for, on validation clips."""

    attack: Attack
    ceiling: float
    """Share of the validation clips fooled at some size."""
    doublings: int
    clips: int
    converged: bool
    """Whether the fooling rate was reached, or the last doubling gained less than a point."""


def tune(attack: Attack, victim: Victim, clips: Clips, params: AttackParams, what: str) -> Tuning:
    """Double the attack's effort until it fools the share of validation clips that `attack.fooling_rate` asks for."""
    if not len(clips):
        return Tuning(attack, 0.0, 0, 0, converged=False)
    best = Tuning(attack, _ceiling(attack, victim, clips, params, what), 0, len(clips), converged=False)
    while best.ceiling < params.fooling_rate and best.doublings < params.doublings:
        if (attack := best.attack.stronger()) == best.attack:
            break
        ceiling = _ceiling(attack, victim, clips, params, what)
        gain = ceiling - best.ceiling
        best = Tuning(attack, ceiling, best.doublings + 1, len(clips), converged=gain < 0.01)
        if best.converged:
            break
    return replace(best, converged=best.converged or best.ceiling >= params.fooling_rate)


def _ceiling(attack: Attack, victim: Victim, clips: Clips, params: AttackParams, what: str) -> float:
    found = attack.search(victim, clips, params.search, what, enough=params.fooling_rate)
    return float(found.fooled.float().mean())


def load(name: str) -> Attack:
    """The attack `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.
    """
    return params.read(f"attacks.{name}", plugins.find(__name__, name, Attack))
