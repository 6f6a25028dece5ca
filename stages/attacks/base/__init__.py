"""What every attack is: parameters, what it is given, what it finds, how the cheapest example is searched.

An attack proposes examples. The families `fixed_budget` and `minimum_norm` search the cheapest for each clip, and take
no word for success but the model's float32 verdict on the array that is stored.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor

from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import AttackResult
from stages.core import params, plugins
from stages.core.errors import InputError
from stages.core.params import Count, Name, Number, Parameters
from stages.models.victim import Victim
from stages.stores import perturbations
from stages.stores.perturbations import Norm

Access = Literal["white_box", "black_box"]
"""The attacker's view of the model: its gradients (white box), or only its decisions (black box)."""


class SearchParams(Parameters):
    """The parameters of the search for the smallest budget that fools a clip."""

    start: Annotated[Number, Field(gt=0, le=1)]
    smallest: Annotated[Number, Field(gt=0, le=1)]
    factor: Annotated[Number, Field(gt=1, le=100)]
    tolerance: Annotated[Number, Field(ge=0.001, le=10)]

    def starting_at(self, budget: float) -> "SearchParams":
        """Return a copy that tries this budget first, on every clip."""
        return self.model_copy(update={"start": budget, "smallest": min(self.smallest, budget)})

    def first_success(self) -> "SearchParams":
        """Return a copy that ends the search at the first budget that fools, even if a smaller one would do."""
        return self.model_copy(update={"smallest": self.start, "tolerance": self.factor})


class AttackParams(Parameters):
    """The parameters that all attacks share."""

    eps: Annotated[Number, Field(gt=0, le=1)]
    fooling_rate: Annotated[Number, Field(gt=0, le=1)]
    tuning_clips: Annotated[Count, Field(ge=1)]
    max_levels: Annotated[Count, Field(ge=0, le=10)]
    search: SearchParams


class CraftParams(Parameters):
    """The attack that crafts the adversarial training set, its fooling rate and its search."""

    attack: Name
    fooling_rate: Annotated[Number, Field(gt=0, le=1)]
    search: SearchParams


class Attack(Parameters, ABC):
    """An attack with its parameters."""

    norm: ClassVar[Norm]
    """The norm that the attack minimises or is bounded in."""
    access: ClassVar[Access]
    paper: ClassVar[str]
    needs_starting_points: ClassVar[bool] = False
    """True for an attack that begins from `AttackInputs.starts`."""

    schedule: dict[Name, Annotated[Number, Field(gt=1, le=100)]]
    """The strength schedule: the factor by which each level raises a parameter, keyed by the parameter's name."""

    @model_validator(mode="after")
    def _schedule_raises_numbers(self) -> Self:
        numbers = [name for name in type(self).model_fields if isinstance(getattr(self, name), int | float)]
        for name in self.schedule:
            if name not in numbers:
                raise ValueError(f"schedule: {name} is no number of the attack; it has {', '.join(numbers) or 'none'}")
        return self

    @property
    @abstractmethod
    def iterations(self) -> int:
        """The largest number of steps along one path; 1 for a single-step attack."""

    @property
    def facts(self) -> dict[str, str | int]:
        """The facts that a store records about the attack that made it."""
        return {
            "parameters": self.model_dump_json(),
            "norm": self.norm,
            "access": self.access,
            "iterations": self.iterations,
            "paper": self.paper,
        }

    @abstractmethod
    def search(
        self, victim: Victim, inputs: AttackInputs, search: SearchParams, stop_at_success_rate: float = 1.0
    ) -> AttackResult:
        """Find the cheapest example for each clip.

        Args:
            victim: the model that is to be fooled.
            inputs: N clips, none of which is predicted as its target already.
            search: parameters of the search for the smallest budget.
            stop_at_success_rate: share of fooled clips, in (0, 1], after which the search may end.
        """

    def stronger(self) -> Self:
        """Return the attack one level up the strength schedule, or itself if no parameter can be raised further."""
        stronger = self
        for name, factor in self.schedule.items():
            raised = {name: _times(getattr(self, name), factor)}
            try:
                type(self).model_validate(stronger.model_dump() | raised)
            except ValidationError:
                continue
            stronger = stronger.model_copy(update=raised)
        return stronger

    def verified_distances(self, victim: Victim, inputs: AttackInputs, examples: Tensor) -> Tensor:
        """Measure the examples that the model puts in the target class, by its float32 verdict.

        Args:
            victim: the model.
            inputs: N clips.
            examples: one example per clip, on the CPU, in the shape of the images.

        Returns:
            sizes in the attack's norm, shape (N,); infinity for the examples that fail.
        """
        fooled = victim.predict(examples).cpu() == inputs.targets
        sizes = perturbations.size(inputs.images.numpy(), examples.numpy(), self.norm)
        return torch.where(fooled, torch.from_numpy(sizes), torch.inf)


def _times(value: float, factor: float) -> float:
    return max(value + 1, round(value * factor)) if isinstance(value, int) else value * factor


def load(name: str) -> Attack:
    """Read the attack `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.

    Example:
        >>> load("bim").norm
        'linf'
    """
    return params.read(f"attacks.{name}", plugins.find("stages.attacks", name, Attack))


def restore(name: str, parameters: str) -> Attack:
    """Rebuild an attack as it was run from the parameters, as JSON, that its store holds.

    Raises:
        InputError: unknown name, or the attack does not take these parameters.
    """
    try:
        return plugins.find("stages.attacks", name, Attack).model_validate_json(parameters)
    except ValidationError as error:
        raise InputError(f"the attack {name} does not take the parameters {parameters}: {error}") from None
