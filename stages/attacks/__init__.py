"""Targeted attacks through Foolbox: one file an attack, found by its name.

An attack proposes examples; the families `_fixed_budget.py` and `_minimum_norm.py` search the cheapest for each clip
and take no word for success but the victim's float32 verdict on the array that is stored.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor, nn

from stages import params, plugins
from stages.params import Count, Name, Number, Parameters
from stages.prediction import Victim
from stages.trials import Trial

Norm = Literal["linf", "l2", "l1"]
Knowledge = Literal["white box", "black box"]


class SearchParams(Parameters):
    """How the smallest budget that fools a clip is searched."""

    start: Annotated[Number, Field(gt=0, le=1)]
    smallest: Annotated[Number, Field(gt=0, le=1)]
    factor: Annotated[Number, Field(gt=1, le=100)]
    tolerance: Annotated[Number, Field(ge=0.001, le=10)]

    def around(self, budget: float) -> "SearchParams":
        """The search that tries this budget first, on every clip."""
        return self.model_copy(update={"start": budget, "smallest": min(self.smallest, budget)})

    def at_any_price(self) -> "SearchParams":
        """The search that ends with the first budget that fools, whatever smaller one may do."""
        return self.model_copy(update={"smallest": self.start, "tolerance": self.factor})


class AttackParams(Parameters):
    """What holds for every attack."""

    eps: Annotated[Number, Field(gt=0, le=1)]
    fooling_rate: Annotated[Number, Field(gt=0, le=1)]
    tuning_clips: Annotated[Count, Field(ge=1)]
    doublings: Annotated[Count, Field(ge=0, le=10)]
    search: SearchParams


@dataclass(frozen=True)
class Clips:
    """N clips to be fooled."""

    images: Tensor
    """Shape (N, 1, height, width), in [0, 1]."""
    targets: Tensor
    """Shape (N,)."""
    seeds: Tensor
    """Of each clip's own randomness, shape (N,), on the CPU."""
    starts: Tensor
    """Images of the target class for attacks that begin there, the clip itself where there is none; as `images`."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: Tensor) -> "Clips":
        return Clips(self.images[chosen], self.targets[chosen], self.seeds[chosen], self.starts[chosen])

    def to(self, device: torch.device) -> "Clips":
        """The same on a device."""
        return Clips(self.images.to(device), self.targets.to(device), self.seeds, self.starts.to(device))

    def generators(self) -> list[torch.Generator]:
        """A generator on the CPU for each clip: neither batch nor order changes what it draws."""
        return [torch.Generator().manual_seed(int(seed)) for seed in self.seeds]


@dataclass(frozen=True)
class Tried:
    """What an attack proposes for a batch of clips."""

    examples: Tensor
    """Shape of the images."""
    passes: Tensor
    """Passes through the model, each forward alone or forward and backward, shape (batch,)."""

    @classmethod
    def alike(cls, examples: Tensor, passes: int) -> "Tried":
        """Every clip took the same number of passes."""
        return cls(examples, torch.full((len(examples),), passes))


@dataclass
class Found:
    """The cheapest example found so far for each of N clips."""

    adversarial: Tensor
    """Shape (N, 1, height, width); the clean clip where none was found."""
    cost: Tensor
    """Size of the perturbation in the attack's norm, shape (N,); infinite where none was found."""
    queries: Tensor
    """Passes through the model, shape (N,)."""

    @classmethod
    def nothing(cls, clips: Clips) -> "Found":
        """Before the first try."""
        cost = clips.images.new_full((len(clips),), torch.inf)
        return cls(clips.images.clone(), cost, torch.zeros(len(clips), dtype=torch.int64))

    @classmethod
    def joined(cls, parts: Sequence["Found"]) -> "Found":
        """What was found for several sets of clips, one after the other."""
        return cls(
            torch.cat([part.adversarial for part in parts]),
            torch.cat([part.cost for part in parts]),
            torch.cat([part.queries for part in parts]),
        )

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
    knowledge: ClassVar[Knowledge]
    paper: ClassVar[str]
    begins_elsewhere: ClassVar[bool] = False
    """Whether it begins from `Clips.starts`."""

    ladder: dict[Name, Annotated[Number, Field(gt=1, le=100)]]
    """Factor of each parameter that tuning raises, by its name."""

    @model_validator(mode="after")
    def _ladder_raises_numbers(self) -> Self:
        numbers = [name for name in type(self).model_fields if isinstance(getattr(self, name), int | float)]
        for name in self.ladder:
            if name not in numbers:
                raise ValueError(f"ladder: {name} is no number of the attack; it has {', '.join(numbers) or 'none'}")
        return self

    def prepared(self, trial: Trial) -> Self:
        """The attack with all that it needs besides a victim and clips, which a stage calls for once."""
        return self

    @abstractmethod
    def search(self, victim: Victim, clips: Clips, search: SearchParams, enough: float = 1.0) -> Found:
        """The cheapest example for each clip.

        Args:
            victim: who is to be fooled.
            clips: none of which is predicted as its target already.
            search: how the smallest budget is searched.
            enough: share of fooled clips after which the search may end.
        """

    @property
    def made_from(self) -> tuple[Parameters | nn.Module, ...]:
        """What its examples depend on, beside the victim and the clips."""
        return (self,)

    def stronger(self) -> Self:
        """The attack one rung up its ladder, or itself where no parameter can be raised further."""
        stronger = self
        for name, factor in self.ladder.items():
            raised = {name: _times(getattr(self, name), factor)}
            try:
                type(self).model_validate(stronger.model_dump() | raised)
            except ValidationError:
                continue
            # A copy, which keeps what the attack was prepared with.
            stronger = stronger.model_copy(update=raised)
        return stronger

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


def _times(value: float, factor: float) -> float:
    return max(value + 1, round(value * factor)) if isinstance(value, int) else value * factor


def load(name: str) -> Attack:
    """The attack `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.
    """
    return params.read(f"attacks.{name}", plugins.find(__name__, name, Attack))
