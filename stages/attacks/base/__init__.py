"""What every attack is: parameters, what it is given, what it finds, how the cheapest example is searched.

An attack proposes examples. The families `fixed_budget` and `minimum_norm` search the cheapest for each clip. Nothing
counts as success but by the model's float32 verdict on the array that is stored.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import AfterValidator, Field, ValidationError, model_validator
from torch import Tensor

from stages.attacks.base.domains import DomainName
from stages.attacks.base.inputs import AttackInputs, StartingPoints
from stages.attacks.base.results import AttackResult
from stages.core import params, plugins
from stages.core.errors import InputError
from stages.core.params import Count, Name, Number, Parameters
from stages.models.victim import Victim
from stages.stores.perturbations import Norm, ratio

Access = Literal["white_box", "black_box", "unknown"]
"""The attacker's view of the model: its gradients (white box), or its scores or decisions alone (black box)."""


SENSELESS = {
    "sound_jsma": "JSMA changes a few inputs as far as they go, and a few of 100,000 samples are a click",
    "sound_ead": "EAD changes few inputs, for the L1 norm's sake, and few of 100,000 samples are clicks",
}
"""Attacks on images that have no counterpart on sounds, and why."""


class SearchParams(Parameters):
    """The parameters of the search for the smallest budget that fools a clip."""

    start: Annotated[Number, Field(gt=0, le=1)]
    smallest: Annotated[Number, Field(gt=0, le=1)]
    factor: Annotated[Number, Field(gt=1, le=100)]
    tolerance: Annotated[Number, Field(ge=0.001, le=10)]

    def starting_at(self, budget: float) -> "SearchParams":
        """Return a copy that tries this budget first, on every clip."""
        return self.model_copy(update={"start": budget, "smallest": min(self.smallest, budget)})


class AttackParams(Parameters):
    """The parameters that all attacks share."""

    eps: Annotated[Number, Field(gt=0, le=1)]
    eps_l2: Annotated[Number, Field(gt=0, le=1)]
    eps_l1: Annotated[Number, Field(gt=0, le=1)]
    snr: Annotated[Number, Field(ge=0, le=120)]
    chromagram: Literal["frozen", "free"]
    expectation: list[Name]
    fooling_rate: Annotated[Number, Field(gt=0, le=1)]
    tuning_clips: Annotated[Count, Field(ge=1)]
    max_levels: Annotated[Count, Field(ge=0, le=10)]
    search: SearchParams

    @property
    def facts(self) -> dict[str, str | float]:
        """The facts that a store records: the budgets that rates are told for, and what examples must withstand."""
        budgets = {"eps": self.eps, "eps_l2": self.eps_l2, "eps_l1": self.eps_l1, "snr": self.snr}
        return {**budgets, "chromagram": self.chromagram, "expectation": ", ".join(self.expectation)}

    def budget(self, norm: Norm) -> float:
        """Find the budget that rates in a norm are told for; of sounds it is the amplitude ratio of `snr`."""
        budgets: dict[Norm, float] = {"linf": self.eps, "l2": self.eps_l2, "l1": self.eps_l1}
        return budgets.get(norm, ratio(self.snr))


def _of_images(name: str) -> str:
    if name.startswith("sound_"):
        raise ValueError("must name an attack on images, of which the adversarial training set is made")
    return name


class CraftParams(Parameters):
    """The attack that crafts the adversarial training set, its fooling rate and its search."""

    attack: Annotated[Name, AfterValidator(_of_images)]
    fooling_rate: Annotated[Number, Field(gt=0, le=1)]
    search: SearchParams


class Attack(Parameters, ABC):
    """An attack with its parameters."""

    domain: ClassVar[DomainName] = "image"
    """What the attack changes."""
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
            "norm": self.priced_in,
            "bounded_in": self.norm,
            "access": self.access,
            "iterations": self.iterations,
            "paper": self.paper,
        }

    @property
    def priced_in(self) -> Norm:
        """The norm that costs are told in: the attack's own, but of every sound its amplitude ratio."""
        return "snr" if self.domain == "sound" else self.norm

    def first_budget(self, settings: AttackParams) -> float:
        """Find the budget that is tried first on test clips, in the attack's norm: the one that rates are told for."""
        return settings.budget(self.priced_in)

    def starting_points(self, victim: Victim, clips: Tensor, labels: Tensor) -> StartingPoints:
        """Find where the attack begins, if it `needs_starting_points`.

        Args:
            victim: the model that is to be fooled.
            clips: training clips that the model gets right, as attacks see them.
            labels: their classes.
        """
        return StartingPoints(clips, labels)

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
            examples: one example per clip, on the CPU, in the shape of the clips, as a store can hold them.

        Returns:
            sizes in the attack's norm, shape (N,); infinity for the examples that fail.
        """
        domain = inputs.domain
        sizes = domain.size(domain.stored(inputs.clean), domain.stored(examples), self.norm)
        return torch.where(self.reached(victim, inputs, examples), torch.from_numpy(sizes), torch.inf)

    def reached(self, victim: Victim, inputs: AttackInputs, examples: Tensor) -> Tensor:
        """Tell which examples the model takes for their targets, by its float32 verdict: shape (N,), on the CPU."""
        return victim.takes(examples, inputs.targets)


def _times(value: float, factor: float) -> float:
    return max(value + 1, round(value * factor)) if isinstance(value, int) else value * factor


def require_sense(name: str) -> None:
    """Refuse attacks by names that one might expect.

    Raises:
        InputError: the name is of an attack on images that makes no sense on sounds; the message says why.
    """
    if name in SENSELESS:
        raise InputError(f"there is no {name}: {SENSELESS[name]}; use sound_ddn, sound_pgd or sound_linf")


def load(name: str) -> Attack:
    """Read the attack `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.

    Example:
        >>> load("bim").norm
        'linf'
    """
    require_sense(name)
    return params.read(f"attacks.{name}", _find(name))


def _find(name: str) -> type[Attack]:
    """Find the class of an attack, whose name must tell its domain."""
    kind = plugins.find("stages.attacks", name, Attack)
    if name.startswith("sound_") != (kind.domain == "sound"):
        raise InputError(f"the attack {name} changes the {kind.domain}: names of attacks on sound begin with sound_")
    return kind


def domain_of(name: str) -> DomainName:
    """Tell what the attack `name` changes.

    Raises:
        InputError: unknown name.
    """
    return _find(name).domain


def restore(name: str, parameters: str) -> Attack:
    """Rebuild an attack as it was run from the parameters, as JSON, that its store holds.

    Raises:
        InputError: unknown name, or the attack does not take these parameters.
    """
    try:
        return _find(name).model_validate_json(parameters)
    except ValidationError as error:
        raise InputError(f"the attack {name} does not take the parameters {parameters}: {error}") from None
