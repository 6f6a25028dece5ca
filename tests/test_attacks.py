"""Every attack keeps the contract; the cost search finds what can be worked out by hand."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages import attacks, crafting, plugins, robustness
from stages.attacks import Attack, AttackParams, Clips, MinimumNorm, Norm, SearchParams
from stages.attacks.bim import BIM
from stages.attacks.fgsm import FGSM
from stages.compute import ComputeParams
from stages.prediction import Victim
from tests.conftest import store

SEARCH = SearchParams(start=0.02, smallest=0.0005, factor=4.0, tolerance=0.05)
NAMES = plugins.names("stages.attacks")


class Linear(nn.Module):
    """Logits that differ by the mean of the image times a gain, less a threshold."""

    def __init__(self, gain: float = 10.0, threshold: float = 0.5) -> None:
        super().__init__()
        self.gain, self.threshold = gain, threshold

    def forward(self, images: Tensor) -> Tensor:
        margin = self.gain * (images.mean(dim=(1, 2, 3)) - self.threshold)
        return torch.stack([-margin, margin], dim=1)


class Deaf(nn.Module):
    """Takes everything for class 0."""

    def forward(self, images: Tensor) -> Tensor:
        return 0 * images.mean(dim=(2, 3)) + torch.tensor([1.0, 0.0])


class SilenceIsTheTarget(nn.Module):
    """Takes nothing but silence for class 1, and gives no gradient towards it."""

    def forward(self, images: Tensor) -> Tensor:
        silent = (images.detach().flatten(1).amax(1) == 0).float()
        return torch.stack([1 - silent, silent], dim=1) + 0 * images.mean(dim=(1, 2, 3))[:, None]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(128, 3),
    ).eval()


def clips(rng: np.random.Generator, count: int = 20) -> Clips:
    images = torch.from_numpy(rng.random((count, 1, 16, 16), np.float32))
    return Clips(images, torch.ones(count, dtype=torch.int64))


@pytest.fixture
def attack(request: pytest.FixtureRequest) -> Attack:
    request.getfixturevalue("folder")
    return attacks.load(request.param)


@pytest.mark.parametrize("attack", NAMES, indirect=True)
def test_examples_are_in_bounds_and_measured(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    victim = Victim(network(), compute)
    made = store(rng, clips=40)
    predicted = victim.predict(torch.from_numpy(made.features)).numpy()
    made = replace(made, labels=np.where(np.arange(40) < 30, predicted, (predicted + 1) % 3))
    case = crafting.case(victim, made, np.arange(40), seed=0)
    found = crafting.attacked(case, victim, attack, SEARCH, "attack", {})
    assert case.eligible.sum() == 30
    assert found.adversarial.min() >= 0
    assert found.adversarial.max() <= 1
    verdict = victim.predict(torch.from_numpy(found.adversarial)).numpy()
    np.testing.assert_array_equal(verdict[found.success], found.target[found.success])
    sizes = robustness.sizes(found.clean, found.adversarial)
    np.testing.assert_allclose(getattr(sizes, attack.norm)[found.success], found.cost[found.success], rtol=1e-5)
    assert np.isinf(found.cost[~found.success]).all()
    assert (found.queries[case.eligible] > 0).all()
    assert (found.queries[~case.eligible] == 0).all()
    np.testing.assert_array_equal(found.adversarial[~found.success], found.clean[~found.success])


@pytest.mark.parametrize("attack", NAMES, indirect=True)
def test_the_batch_size_changes_no_result(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    made = clips(rng)
    costs = [
        attack.search(Victim(network(), compute.model_copy(update={"batch_size": size})), made, SEARCH, "attack").cost
        for size in (1, 7, 64)
    ]
    torch.testing.assert_close(costs[0], costs[1], rtol=0.01, atol=1e-6)
    torch.testing.assert_close(costs[0], costs[2], rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("attack", NAMES, indirect=True)
def test_a_model_that_ignores_its_input_is_not_fooled(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    found = attack.search(Victim(Deaf(), compute), clips(rng), SEARCH, "attack")
    assert not found.fooled.any()
    assert found.cost.isinf().all()


@pytest.mark.parametrize("attack", NAMES, indirect=True)
def test_silence_handed_back_on_failure_is_no_success(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    found = attack.search(Victim(SilenceIsTheTarget(), compute), clips(rng), SEARCH, "attack")
    assert not found.fooled.any()


@pytest.mark.parametrize("attack", NAMES, indirect=True)
def test_the_cost_of_a_linear_model(attack: Attack, compute: ComputeParams) -> None:
    levels = torch.tensor([0.40, 0.45, 0.48])
    images = levels[:, None, None, None].expand(-1, 1, 16, 16).clone()
    found = attack.search(Victim(Linear(), compute), Clips(images, torch.ones(3, dtype=torch.int64)), SEARCH, "attack")
    # Every bin counts alike, so in every norm the cheapest way is to raise all by what the mean lacks.
    least = 0.5 - levels
    assert (found.cost >= 0.999 * least).all()
    assert (found.cost <= 1.3 * least).all()


def test_iterating_costs_no_more_than_one_step(rng: np.random.Generator, compute: ComputeParams) -> None:
    made, victim = clips(rng), Victim(network(), compute)
    one = FGSM().search(victim, made, SEARCH, "fgsm").cost
    many = BIM(steps=10, rel_stepsize=0.25).search(victim, made, SEARCH, "bim").cost
    assert many.isfinite().sum() >= one.isfinite().sum()
    assert (many[one.isfinite()] <= 1.15 * one[one.isfinite()]).all()


def test_fgsm_steps_towards_the_target_by_the_budget(rng: np.random.Generator, compute: ComputeParams) -> None:
    made, victim = clips(rng), Victim(Linear(), compute)
    budget = torch.linspace(0.01, 0.1, len(made)).reshape(-1, 1, 1, 1)
    examples = FGSM().examples(victim.exposed(), made.images, made.targets, budget)
    torch.testing.assert_close(examples, (made.images + budget).clamp(max=1))


def test_the_search_may_end_when_enough_are_fooled(compute: ComputeParams) -> None:
    images = torch.linspace(0.1, 0.49, 10)[:, None, None, None].expand(-1, 1, 8, 8).clone()
    search = SearchParams(start=0.05, smallest=0.05, factor=2.0, tolerance=1.0)
    made = Clips(images, torch.ones(10, dtype=torch.int64))
    found = FGSM().search(Victim(Linear(), compute), made, search, "craft", enough=0.5)
    assert 0.5 <= found.fooled.float().mean() < 1


class Timid(MinimumNorm):
    """Raises the image by a tenth of its effort."""

    norm: ClassVar[Norm] = "linf"
    knowledge = "white box"
    paper = "none"
    effort: int

    @property
    def passes(self) -> int:
        return 1

    def examples(self, model: object, images: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 - the interface
        return (images + 0.1 * self.effort).clamp(0, 1)

    def stronger(self) -> "Timid":
        return self.model_copy(update={"effort": 2 * self.effort})


@pytest.mark.parametrize(("doublings", "effort", "converged"), [(0, 1, False), (1, 2, False), (5, 4, True)])
def test_tuning_doubles_until_enough_are_fooled(
    compute: ComputeParams, doublings: int, effort: int, converged: bool
) -> None:
    images = torch.tensor([0.15, 0.3, 0.35])[:, None, None, None].expand(-1, 1, 8, 8).clone()
    made = Clips(images, torch.ones(3, dtype=torch.int64))
    params = AttackParams(eps=0.02, fooling_rate=0.9, tuning_clips=3, doublings=doublings, search=SEARCH)
    tuning = attacks.tune(Timid(effort=1), Victim(Linear(), compute), made, params, "tuning")
    assert isinstance(tuning.attack, Timid)
    assert (tuning.attack.effort, tuning.converged) == (effort, converged)
