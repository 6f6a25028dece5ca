"""Every attack keeps the contract; the cost search finds what can be worked out by hand."""

from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import ClassVar, TypeVar

import foolbox
import numpy as np
import pytest
import torch
from foolbox import PyTorchModel
from stages.attacks.base.descent import LinfDescent
from stages.attacks.transfer import Transfer
from torch import Tensor, nn
from torch.nn import functional

from stages import attacks
from stages.attacks.base import (
    Attack,
    AttackParams,
    AttackResult,
    Candidates,
    Clips,
    Knowledge,
    Norm,
    SearchParams,
    run,
    tuning,
)
from stages.attacks.base.fixed_budget import FixedBudget
from stages.attacks.base.gradients import logit_slopes, probability_slopes
from stages.attacks.base.linf import Iterative, OneStep
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.run import NO_STARTING_POINTS, Case, StartingPoints
from stages.attacks.bim import BIM
from stages.attacks.fgsm import FGSM
from stages.attacks.jsma import Rule, SaliencyMapAttack
from stages.attacks.pgd import PGD
from stages.core import params, plugins
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.paths import CellPaths
from stages.models.cell import Cell
from stages.models.victim import Victim
from stages.stores import perturbations
from stages.stores.adversarial import Adversarial
from stages.stores.splits import Split
from tests.conftest import store

A = TypeVar("A", bound=Attack)

SEARCH = SearchParams(start=0.02, smallest=0.001, factor=4.0, tolerance=0.1)
NAMES = plugins.names("stages.attacks")
QUICK: dict[str, dict[str, int]] = {
    "boundary": {"steps": 25},
    "ead": {"steps": 15},
    "lbfgs": {"steps": 8, "line_search_steps": 4},
    "pgd": {"steps": 6},
}
"""Shorter runs than params.yaml asks for."""


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


def network(channels: int = 8) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, channels, 5, stride=2),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(16 * channels, 3),
    ).eval()


def towards(victim: Victim, images: Tensor, target: int, starts: Tensor | None = None) -> Clips:
    """Clips with one target for all, less those that are there already; they may begin from `starts`."""
    images = images[victim.predict(images) != target]
    targets = torch.full((len(images),), target)
    pool = images[:0] if starts is None else starts
    labels = victim.predict(pool) if len(pool) else torch.zeros(0, dtype=torch.int64)
    return Clips(images, targets, torch.arange(len(images)), StartingPoints(pool, labels).nearest(images, targets))


def clips(victim: Victim, rng: np.random.Generator, count: int = 20, dtype: torch.dtype = torch.float32) -> Clips:
    images = torch.from_numpy(rng.random((count, 1, 12, 12))).to(dtype)
    starts = torch.from_numpy(rng.random((60, 1, 12, 12)) ** rng.uniform(0.3, 3, (60, 1, 1, 1))).to(dtype)
    predicted = victim.predict(images)
    return towards(victim, images, int((predicted.mode().values + 1) % 3), starts)


@pytest.fixture
def attack(request: pytest.FixtureRequest) -> Attack:
    request.getfixturevalue("folder")
    return attacks.load(request.param).model_copy(update=QUICK.get(request.param, {}))


def ready(attack: A, victim: Victim) -> A:
    """Prepared: a transfer attack has the victim's own network for its surrogate."""
    return attack.through(victim.model) if isinstance(attack, Transfer) else attack


def attacked(case: Case, starts: StartingPoints, victim: Victim, attack: Attack) -> Adversarial:
    with run.attacked(case, starts, victim, attack, SEARCH, "attack", {}) as found:
        return found


every_attack = pytest.mark.parametrize("attack", NAMES, indirect=True)


@every_attack
def test_examples_are_in_bounds_and_measured(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    victim = Victim(network(), compute)
    made = store(rng, clips=16)
    predicted = victim.predict(torch.from_numpy(made.features)).numpy()
    made = replace(made, labels=np.where(np.arange(16) < 12, predicted, (predicted + 1) % 3))
    case = run.case(victim, made, np.arange(16), seed=0)
    starts = run.starts(attack, victim, made, np.arange(16))
    found = attacked(case, starts, victim, ready(attack, victim))
    assert case.eligible.sum() == 12
    assert found.adversarial.min() >= 0
    assert found.adversarial.max() <= 1
    verdict = victim.predict(torch.from_numpy(found.adversarial)).numpy()
    np.testing.assert_array_equal(verdict[found.success], found.target[found.success])
    sizes = perturbations.sizes(found.clean, found.adversarial)
    np.testing.assert_allclose(getattr(sizes, attack.norm)[found.success], found.cost[found.success], rtol=1e-5)
    assert np.isinf(found.cost[~found.success]).all()
    assert (found.queries[case.eligible] > 0).all()
    assert (found.queries[~case.eligible] == 0).all()
    np.testing.assert_array_equal(found.adversarial[~found.success], found.clean[~found.success])


@every_attack
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 0.01), (torch.float64, 1e-9)])
def test_the_batch_size_changes_no_result(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams, dtype: torch.dtype, rtol: float
) -> None:
    victims = [Victim(network().to(dtype), compute.model_copy(update={"batch_size": size})) for size in (1, 7, 64)]
    made = clips(victims[0], rng, 8, dtype)
    found = [ready(attack, victim).search(victim, made, SEARCH) for victim in victims]
    assert found[0].fooled.any()
    for other in found[1:]:
        torch.testing.assert_close(other.cost, found[0].cost, rtol=rtol, atol=1e-6 * (rtol > 1e-3))
        torch.testing.assert_close(other.queries, found[0].queries)


@every_attack
def test_a_model_that_ignores_its_input_is_not_fooled(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    victim = Victim(Deaf(), compute)
    images = torch.from_numpy(rng.random((10, 1, 16, 16), np.float32))
    found = ready(attack, victim).search(victim, towards(victim, images, 1, starts=images), SEARCH)
    assert not found.fooled.any()
    assert found.cost.isinf().all()
    torch.testing.assert_close(found.adversarial, images)


@every_attack
def test_silence_handed_back_on_failure_is_no_success(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    victim = Victim(SilenceIsTheTarget(), compute)
    images = torch.from_numpy(rng.random((10, 1, 16, 16), np.float32))
    assert not ready(attack, victim).search(victim, towards(victim, images, 1), SEARCH).fooled.any()


@every_attack
def test_the_cost_of_a_linear_model(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    levels = torch.tensor([0.40, 0.45, 0.48])
    images = levels[:, None, None, None].expand(-1, 1, 16, 16).clone()
    starts = torch.from_numpy(rng.uniform(0.4, 0.8, (5, 1, 16, 16)).astype(np.float32))
    found = ready(attack, victim).search(victim, towards(victim, images, 1, starts), SEARCH)
    # Every bin counts alike, so in every norm the cheapest way is to raise all by what the mean lacks.
    least = 0.5 - levels
    assert (found.cost >= 0.999 * least).all()
    assert (found.cost <= {"white box": 1.3, "black box": 2.5}[attack.knowledge] * least).all()


@every_attack
def test_where_no_clip_is_eligible_nothing_is_found(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    victim, made = Victim(network(), compute), store(rng, clips=6)
    predicted = victim.predict(torch.from_numpy(made.features)).numpy()
    case = run.case(victim, replace(made, labels=(predicted + 1) % 3), np.arange(6), seed=0)
    found = attacked(case, NO_STARTING_POINTS, victim, ready(attack, victim))
    assert not found.eligible.any()
    assert not found.success.any()


@every_attack
def test_an_attack_says_what_it_is(attack: Attack) -> None:
    assert attack.norm in {"linf", "l2", "l1"}
    assert attack.knowledge in {"white box", "black box"}
    assert attack.paper
    assert attack.knowledge == "black box" or not attack.begins_elsewhere


@pytest.mark.parametrize(
    "attack",
    [name for name in NAMES if issubclass(plugins.find("stages.attacks", name, Attack), Iterative)],
    indirect=True,
)
def test_iterating_never_costs_more_than_one_step(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    victim = Victim(network(), compute)
    made = clips(victim, rng)
    one, many = (each.search(victim, made, SEARCH).cost for each in (FGSM(ladder={}), attack))
    assert one.isfinite().any()
    assert (many <= one).all()


@pytest.mark.usefixtures("folder")
def test_attacks_that_minimise_l2_agree(rng: np.random.Generator, compute: ComputeParams) -> None:
    made = store(rng, clips=60)
    victim = Victim(trained(made.features, made.labels), compute)
    case = run.case(victim, made, np.arange(60), seed=0)
    assert case.eligible.mean() > 0.9
    medians = [
        float(attacks.load(name).search(victim, case.clips(20), SEARCH).cost.median())
        for name in ("cw", "ddn", "deepfool")
    ]
    assert max(medians) <= 1.5 * min(medians)


def trained(images: np.ndarray, labels: np.ndarray) -> nn.Module:
    model = network().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        functional.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels)).backward()
        optimizer.step()
    return model.eval()


def test_fgsm_steps_towards_the_target_by_the_budget(rng: np.random.Generator, compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    made = towards(victim, torch.from_numpy(rng.random((20, 1, 16, 16), np.float32)) * 0.9, 1)
    budget = torch.linspace(0.01, 0.1, len(made)).reshape(-1, 1, 1, 1)
    tried = FGSM(ladder={}).examples(victim.exposed(), made, budget, made.images)
    torch.testing.assert_close(tried.examples, (made.images + budget).clamp(max=1))


def test_a_clip_leaves_a_descent_when_it_is_fooled() -> None:
    model = PyTorchModel(Linear().eval(), bounds=(0, 1), device="cpu")
    images = torch.tensor([0.49, 0.47, 0.1])[:, None, None, None].expand(-1, 1, 8, 8).clone()
    descent = LinfDescent(steps=8, rel_stepsize=0.25)
    budget = torch.full((3, 1, 1, 1), 0.1)
    targets = criterion(torch.ones(3, dtype=torch.int64))
    examples = descent.run(model, images, targets, epsilon=budget, starting_points=images)
    # Steps of 0.025: fooled after one, after two, never; a pass more finds that out.
    assert descent.passes.tolist() == [2, 3, 8]
    torch.testing.assert_close(examples[:, 0, 0, 0], torch.tensor([0.515, 0.52, 0.2]))


def criterion(targets: Tensor) -> foolbox.TargetedMisclassification:
    return foolbox.TargetedMisclassification(targets)


@pytest.mark.parametrize("rule", ["single", "pair"])
def test_saliency_agrees_with_a_naive_search(rng: np.random.Generator, rule: Rule) -> None:
    images = torch.from_numpy(rng.random((2, 1, 6, 6), np.float32))
    model = PyTorchModel(network(4), bounds=(0, 1), device="cpu")
    targets = (model(images).argmax(1) + 1) % 3
    attack = SaliencyMapAttack(rule=rule, theta=0.6, at_once=1, steps=4)
    found = attack.run(model, images, criterion(targets))
    for image, target, example in zip(images, targets, found, strict=True):
        torch.testing.assert_close(example, naive_saliency(model, image, target, rule, theta=0.6, steps=4))


def naive_saliency(model: PyTorchModel, image: Tensor, target: Tensor, rule: Rule, theta: float, steps: int) -> Tensor:
    """Section IV of the paper, bin by bin and pair by pair, in both directions."""
    image, moved = image.flatten().clone(), torch.zeros(image.numel())
    slopes = {"single": probability_slopes, "pair": logit_slopes}[rule]
    for _ in range(steps):
        fooled, gain, others = slopes(model, image.reshape(1, 1, 6, 6), target[None])
        gain, others = gain.flatten(), others.flatten()
        best, way = 0.0, 0
        chosen: tuple[int, ...] = ()
        for direction in (1, -1):
            free = [
                bin_
                for bin_ in range(len(image))
                if moved[bin_] != -direction and (image[bin_] < 1 if direction > 0 else image[bin_] > 0)
            ]
            for bins in combinations(free, {"single": 1, "pair": 2}[rule]):
                up, down = direction * gain[list(bins)].sum(), direction * others[list(bins)].sum()
                if up > 0 and down < 0 and float(-up * down) > best:
                    best, chosen, way = float(-up * down), bins, direction
        if fooled or not chosen:
            break
        image[list(chosen)] = (image[list(chosen)] + way * theta).clamp(0, 1)
        moved[list(chosen)] = way
    return image.reshape(1, 6, 6)


def test_a_walk_begins_from_the_nearest_image_of_the_target() -> None:
    images = torch.tensor([0.1, 0.6, 0.9])[:, None, None, None].expand(-1, 1, 4, 4).clone()
    starts = StartingPoints(images, torch.tensor([0, 1, 1]))
    clean = torch.full((3, 1, 4, 4), 0.8)
    nearest = starts.nearest(clean, torch.tensor([0, 1, 2]))
    torch.testing.assert_close(nearest[:, 0, 0, 0], torch.tensor([0.1, 0.9, 0.8]))


@pytest.mark.usefixtures("folder")
def test_only_clips_that_the_victim_gets_right_are_starts(rng: np.random.Generator, compute: ComputeParams) -> None:
    victim, made = Victim(network(), compute), store(rng, clips=20)
    predicted = victim.predict(torch.from_numpy(made.features)).numpy()
    made = replace(made, labels=np.where(np.arange(20) < 12, predicted, (predicted + 1) % 3))
    starts = run.starts(attacks.load("hopskipjump"), victim, made, np.arange(5, 20))
    np.testing.assert_array_equal(starts.images.numpy(), made.features[5:12])
    assert not len(run.starts(attacks.load("bim"), victim, made, np.arange(5, 20)).images)


@pytest.mark.parametrize("attack", ["hopskipjump", "boundary"], indirect=True)
def test_a_clip_without_a_start_fails_alone(attack: Attack, compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    images = torch.full((3, 1, 8, 8), 0.4)
    starts = torch.stack([torch.full((1, 8, 8), level) for level in (0.7, 0.4, 0.6)])
    made = Clips(images, torch.ones(3, dtype=torch.int64), torch.arange(3), starts)
    assert attack.search(victim, made, SEARCH).fooled.tolist() == [True, False, True]


@pytest.mark.usefixtures("folder")
def test_a_killed_run_goes_on_with_the_next_shard(
    rng: np.random.Generator, compute: ComputeParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, made, fgsm = Victim(network(), compute), store(rng, clips=20), FGSM(ladder={})
    made = replace(made, labels=victim.predict(torch.from_numpy(made.features)).numpy())
    case = run.case(victim, made, np.arange(20), seed=0)
    monkeypatch.setattr(run, "SHARD", 8)
    whole = attacked(case, NO_STARTING_POINTS, victim, fgsm)
    tried: list[int] = []

    def search(_self: FGSM, victim: Victim, clips: Clips, search: SearchParams, enough: float = 1.0) -> AttackResult:
        tried.append(len(clips))
        if len(tried) == 3:
            raise KeyboardInterrupt
        return OneStep(ladder={}).search(victim, clips, search, enough)

    monkeypatch.setattr(FGSM, "search", search)
    with pytest.raises(KeyboardInterrupt):
        attacked(case, NO_STARTING_POINTS, victim, fgsm)
    again = attacked(case, NO_STARTING_POINTS, victim, fgsm)
    assert tried == [8, 8, 4, 4]
    for name in ("adversarial", "cost", "queries", "success"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert not list(Path(".scratch").glob("*"))


def test_what_was_found_is_kept_until_it_is_written(
    rng: np.random.Generator, compute: ComputeParams, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    victim, made, fgsm = Victim(network(), compute), store(rng, clips=20), FGSM(ladder={})
    made = replace(made, labels=victim.predict(torch.from_numpy(made.features)).numpy())
    case = run.case(victim, made, np.arange(20), seed=0)
    with (
        pytest.raises(InputError, match="no space left"),
        run.attacked(case, NO_STARTING_POINTS, victim, fgsm, SEARCH, "attack", {}) as found,
    ):
        raise InputError("no space left")
    monkeypatch.setattr(FGSM, "search", None)
    np.testing.assert_array_equal(attacked(case, NO_STARTING_POINTS, victim, fgsm).cost, found.cost)
    assert not list(Path(".scratch").glob("*"))


def test_what_another_network_made_is_not_taken_up(
    rng: np.random.Generator, compute: ComputeParams, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    victim, made = Victim(network(), compute), store(rng, clips=20)
    made = replace(made, labels=victim.predict(torch.from_numpy(made.features)).numpy())
    case = run.case(victim, made, np.arange(20), seed=0)
    transfer = Transfer(architecture="alexnet", steps=3, rel_stepsize=0.5, ladder={})
    with (
        suppress(KeyboardInterrupt),
        run.attacked(case, NO_STARTING_POINTS, victim, transfer.through(victim.model), SEARCH, "attack", {}) as own,
    ):
        raise KeyboardInterrupt
    torch.manual_seed(1)
    other = nn.Sequential(nn.Flatten(), nn.Linear(case.images[0].size, 3)).eval()
    found = attacked(case, NO_STARTING_POINTS, victim, transfer.through(other))
    assert (found.cost != own.cost).any()
    assert len(list(Path(".scratch").glob("*"))) == 1


def test_the_search_may_end_when_enough_are_fooled(compute: ComputeParams) -> None:
    images = torch.linspace(0.1, 0.49, 10)[:, None, None, None].expand(-1, 1, 8, 8).clone()
    search = SearchParams(start=0.05, smallest=0.05, factor=2.0, tolerance=1.0)
    victim = Victim(Linear(), compute)
    found = FGSM(ladder={}).search(victim, towards(victim, images, 1), search, enough=0.5)
    assert 0.5 <= found.fooled.float().mean() < 1


class Cheat(FixedBudget):
    """Fools at once, with twice the budget."""

    norm: ClassVar[Norm] = "linf"
    knowledge: ClassVar[Knowledge] = "white box"
    paper = "none"

    def examples(self, model: object, clips: Clips, budget: Tensor, start: Tensor) -> Candidates:  # noqa: ARG002
        return Candidates.alike((clips.images + 2 * budget).clamp(0, 1), 1)


def test_an_example_beyond_the_budget_is_not_believed(compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    made = towards(victim, torch.full((1, 1, 8, 8), 0.3), 1)
    found = Cheat(ladder={}).search(victim, made, SearchParams(start=0.15, smallest=0.15, factor=2.0, tolerance=1))
    # Twice 0.15 would do, and is not taken: only at the whole range is the example within the budget.
    assert found.cost[0] == pytest.approx(0.7)


class Timid(MinimumNorm):
    """Raises the image by a tenth of its effort."""

    norm: ClassVar[Norm] = "linf"
    knowledge: ClassVar[Knowledge] = "white box"
    paper = "none"
    effort: int

    def examples(self, model: object, clips: Clips) -> Candidates:  # noqa: ARG002 - the interface
        return Candidates.alike((clips.images + 0.1 * self.effort).clamp(0, 1), 1)


@pytest.mark.parametrize(
    ("levels", "doublings", "effort", "reached", "converged"),
    [
        ([0.15, 0.3, 0.35], 0, 1, False, False),
        ([0.15, 0.3, 0.35], 1, 2, False, False),
        ([0.01, 0.45, 0.45], 2, 1, False, True),
        ([0.15, 0.3, 0.35], 5, 4, True, True),
        ([0.01, 0.45, 0.45], 3, 1, False, True),
        ([0.01, 0.45, 0.45], 5, 1, False, True),
        ([0.45, 0.45, 0.45], 5, 1, True, True),
    ],
)
def test_tuning_climbs_until_enough_are_fooled_or_nothing_is_gained(
    compute: ComputeParams, levels: list[float], doublings: int, effort: int, reached: bool, converged: bool
) -> None:
    victim = Victim(Linear(), compute)
    images = torch.tensor(levels)[:, None, None, None].expand(-1, 1, 8, 8).clone()
    settings = AttackParams(eps=0.02, fooling_rate=0.9, tuning_clips=3, doublings=doublings, search=SEARCH)
    timid = Timid(effort=1, ladder={"effort": 2})
    tuned = tuning.tune(timid, victim, towards(victim, images, 1), settings)
    assert isinstance(tuned.attack, Timid)
    assert (tuned.attack.effort, tuned.reached, tuned.converged) == (effort, reached, converged)


def test_a_share_that_is_just_reached_is_reached(compute: ComputeParams) -> None:
    """0.9 of 20 clips, which is less than 0.9 in float32."""
    victim = Victim(Linear(), compute)
    images = torch.tensor([0.45] * 18 + [0.01] * 2)[:, None, None, None].expand(-1, 1, 8, 8).clone()
    settings = AttackParams(eps=0.02, fooling_rate=0.9, tuning_clips=20, doublings=3, search=SEARCH)
    tuned = tuning.tune(Timid(effort=1, ladder={"effort": 2}), victim, towards(victim, images, 1), settings)
    assert (tuned.ceiling, tuned.reached, tuned.doublings) == (0.9, True, 0)


class Stepwise(Timid):
    """Fools 179 of 200 clips, and once it is stronger 180: 0.895 and 0.9."""

    def examples(self, model: object, clips: Clips) -> Candidates:  # noqa: ARG002 - the interface
        fooled = clips.images.amax((1, 2, 3), keepdim=True) <= 0.1 * self.effort
        return Candidates.alike(torch.where(fooled, 1.0, clips.images), 1)


def test_the_rung_that_reaches_the_rate_is_taken_however_little_it_gained(compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    images = torch.tensor([0.05] * 179 + [0.15] + [0.25] * 20)[:, None, None, None].expand(-1, 1, 8, 8).clone()
    settings = AttackParams(eps=0.02, fooling_rate=0.9, tuning_clips=200, doublings=3, search=SEARCH)
    tuned = tuning.tune(Stepwise(effort=1, ladder={"effort": 2}), victim, towards(victim, images, 1), settings)
    assert (tuned.ceiling, tuned.reached, tuned.doublings) == (0.9, True, 1)


def test_a_budget_is_tried_on_every_clip_even_below_the_smallest_one_searched(compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    levels = torch.linspace(0.305, 0.495, 20)[:, None, None, None].expand(-1, 1, 8, 8).clone()
    near = towards(victim, levels, 1)
    found = AttackResult.nothing(near)
    found.keep_better(torch.arange(20), levels + 0.3, torch.full((20,), 0.3))
    search = SEARCH.model_copy(update={"smallest": 0.5}).around(0.1)
    BIM(steps=10, rel_stepsize=0.2, ladder={}).improve(found, victim, near, search, enough=1)
    assert int((found.cost <= 0.1).sum()) == 10


class Untouchable(MinimumNorm):
    """Cannot be made stronger, and must not be tried for it."""

    norm: ClassVar[Norm] = "linf"
    knowledge: ClassVar[Knowledge] = "white box"
    paper = "none"

    def examples(self, model: object, clips: Clips) -> Candidates:  # noqa: ARG002 - the interface
        raise AssertionError("it was tried")


def test_an_attack_without_a_ladder_is_not_tuned(compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    settings = AttackParams(eps=0.02, fooling_rate=0.9, tuning_clips=3, doublings=3, search=SEARCH)
    clips = towards(victim, torch.full((3, 1, 8, 8), 0.3), 1)
    tuned = tuning.tune(Untouchable(ladder={}), victim, clips, settings)
    assert (tuned.clips, tuned.doublings, tuned.reached, tuned.converged) == (0, 0, False, True)


def test_tuning_asks_whether_clips_are_fooled_not_how_cheaply(compute: ComputeParams) -> None:
    images = torch.linspace(0.1, 0.49, 10)[:, None, None, None].expand(-1, 1, 8, 8).clone()
    victim = Victim(Linear(), compute)
    clips = towards(victim, images, 1)
    cheapest, first = (FGSM(ladder={}).search(victim, clips, search) for search in (SEARCH, SEARCH.at_any_price()))
    assert torch.equal(first.fooled, cheapest.fooled)
    assert first.queries.sum() < cheapest.queries.sum() / 2
    assert (first.cost <= cheapest.cost * (1 + SEARCH.factor)).all()


@pytest.mark.usefixtures("folder")
def test_a_ladder_raises_each_parameter_up_to_its_bound() -> None:
    pgd = PGD(steps=3000, rel_stepsize=0.1, restarts=3, ladder={"steps": 2, "restarts": 1.1})
    once = pgd.stronger()
    assert (once.steps, once.restarts) == (6000, 4)
    twice = once.stronger()
    assert (twice.steps, twice.restarts) == (6000, 5)
    highest = once.model_copy(update={"restarts": 100})
    assert highest.stronger() == highest
    assert attacks.load("fgsm").stronger() == attacks.load("fgsm")


@pytest.mark.usefixtures("folder")
def test_a_ladder_of_unknown_parameters_is_refused() -> None:
    text = params.FILE.read_text(encoding="utf-8").replace("ladder: {steps: 2}", "ladder: {stride: 2}", 1)
    params.FILE.write_text(text, encoding="utf-8")
    params._document.cache_clear()
    with pytest.raises(InputError, match=r"attacks.bim: ladder: stride is no number of the attack; it has steps, rel_"):
        attacks.load("bim")


def test_what_is_transferred_from_is_a_network_that_was_trained(
    folder: Path, rng: np.random.Generator, compute: ComputeParams
) -> None:
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(text.replace("epochs: 40 ", "epochs: 5 "), encoding="utf-8")
    made, everyone = store(rng), np.arange(60)
    trial = Cell(CellPaths("stft", "resnet18", 1), made, Split(everyone, everyone, everyone), 0, compute)
    attack = attacks.load("transfer").prepared(trial)
    assert isinstance(attack, Transfer)
    images = torch.from_numpy(made.features)
    surrogate = attack.shown(Victim(Deaf(), compute))
    assert (surrogate(images).argmax(1).numpy() == made.labels).mean() > 0.9
    stronger = attack.stronger()
    assert stronger.steps == 2 * attack.steps
    torch.testing.assert_close(stronger.shown(Victim(Deaf(), compute))(images), surrogate(images))


def test_what_fools_another_network_need_not_fool_the_victim(rng: np.random.Generator, compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    attack = Transfer(architecture="alexnet", steps=10, rel_stepsize=0.2, ladder={})
    made = towards(victim, torch.from_numpy(rng.random((10, 1, 16, 16), np.float32)) * 0.9, 1)
    alike, opposed = (
        attack.through(model.eval()).search(victim, made, SEARCH) for model in (Linear(5.0), Linear(-5.0))
    )
    assert alike.fooled.all()
    assert not opposed.fooled.any()


with_budget = pytest.mark.parametrize(
    "attack",
    [name for name in NAMES if issubclass(plugins.find("stages.attacks", name, Attack), FixedBudget)],
    indirect=True,
)


@with_budget
def test_what_fools_at_the_first_budget_costs_no_more(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    victim = Victim(Linear(), compute)
    made = towards(victim, torch.from_numpy(rng.uniform(0.45, 0.499, (200, 1, 8, 8))).float(), 1)
    search = SearchParams(start=0.06, smallest=0.06, factor=2.0, tolerance=1.0)
    cost = ready(attack, victim).search(victim, made, search).cost
    assert (cost <= 0.06).all(), cost.max() - 0.06


@with_budget
def test_the_first_budget_is_tried_even_if_more_is_known_to_suffice(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    """From 0.045 by factors of 2, budgets would be 0.0225 and then 0.01125, which is too little."""
    assert isinstance(attack, FixedBudget)
    victim = Victim(Linear(threshold=0.514), compute)
    made = towards(victim, torch.from_numpy(rng.uniform(0.4999, 0.5001, (20, 1, 8, 8))).float(), 1)
    search = SearchParams(start=0.02, smallest=0.0005, factor=2.0, tolerance=1.0)
    found = AttackResult.nothing(made)
    found.keep_better(torch.arange(20), made.images + 0.045, torch.full((20,), 0.045))
    ready(attack, victim).improve(found, victim, made, search, 1.0)
    assert (found.cost <= 0.02).all()


class Reluctant(FixedBudget):
    """Fools within 0.019, but only from an example of a larger budget."""

    norm: ClassVar[Norm] = "linf"
    knowledge: ClassVar[Knowledge] = "white box"
    paper = "none"

    def examples(self, model: object, clips: Clips, budget: Tensor, start: Tensor) -> Candidates:  # noqa: ARG002
        warm = (start - clips.images).flatten(1).amax(1) > 0.021
        reach = torch.where((budget.flatten() > 0.021) | warm, budget.flatten(), 0.0).reshape(budget.shape)
        return Candidates.alike(clips.images + reach, 1)


def test_a_budget_just_missed_is_tried_again_from_what_fools(compute: ComputeParams) -> None:
    victim = Victim(Linear(threshold=0.519), compute)
    made = towards(victim, torch.full((3, 1, 8, 8), 0.5), 1)
    found = Reluctant(ladder={}).search(
        victim, made, SearchParams(start=0.02, smallest=0.0005, factor=2.0, tolerance=0.1)
    )
    assert (found.cost <= 0.02).all()


@with_budget
def test_a_budget_is_kept(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    assert isinstance(attack, FixedBudget)
    victim = Victim(network(), compute)
    made = clips(victim, rng)
    attack = ready(attack, victim)
    budgets = torch.from_numpy(rng.uniform(0.001, 0.5, len(made)).astype(np.float32))
    limits, start = budgets.reshape(-1, 1, 1, 1), made.starts
    tried = attack.examples(attack.shown(victim), made, limits, start)
    assert (attack.price(made.images, tried.examples) <= budgets + 1e-6).all()
    assert tried.examples.min() >= 0
    assert tried.examples.max() <= 1
