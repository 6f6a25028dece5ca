"""Every attack keeps the contract; the cost search finds what can be worked out by hand."""

from collections.abc import Sequence
from contextlib import chdir
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from foolbox import Misclassification, PyTorchModel, TargetedMisclassification
from foolbox.attacks import LinfBasicIterativeAttack, LinfProjectedGradientDescentAttack
from torch import Tensor, nn
from torch.nn import functional

from stages import attacks
from stages.attacks.base import Access, Attack, SearchParams, domain_of, run
from stages.attacks.base.fixed_budget import FixedBudget
from stages.attacks.base.goals import AwayFrom, Goal, Towards
from stages.attacks.base.gradients import logit_gradients, probability_gradients
from stages.attacks.base.inputs import AttackInputs, StartingPoints, attack_inputs
from stages.attacks.base.linf import NEVER, FromOneStep, LinfDescent, OneStep
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.prepare import cell_inputs, starting_points
from stages.attacks.base.results import AttackResult, Candidates
from stages.attacks.base.tuning import Level, Tuning, tune
from stages.attacks.bim import BIM
from stages.attacks.ddn import DDN
from stages.attacks.fgsm import FGSM
from stages.attacks.fmn import FMN
from stages.attacks.jsma import Rule, SaliencyMapAttack
from stages.attacks.pgd import PGD
from stages.attacks.sound_ddn import SoundDDN
from stages.core import params, plugins
from stages.core.arrays import Images, Integers
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.paths import CellPaths
from stages.models.cell import Cell
from stages.models.victim import Victim
from stages.stores import perturbations
from stages.stores.perturbations import Norm
from stages.stores.splits import Split
from tests.attack_helpers import (
    SEARCH,
    attack_run,
    attacked,
    labelled_as_predicted,
    network,
    settings_of,
    to_attack,
)
from tests.helpers import ROOT, feature_store

NAMES = [name for name in plugins.names("stages.attacks") if domain_of(name) == "image"]
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


def towards(victim: Victim, images: Tensor, target: int, starts: Tensor | None = None) -> AttackInputs:
    """Clips with one target for all, less those that are there already; they may begin from `starts`."""
    images = images[victim.predict(images) != target]
    targets = torch.full((len(images),), target)
    if starts is None:
        return to_attack(images, targets)
    points = StartingPoints(starts, victim.predict(starts))
    return to_attack(images, targets, points.starts(images, targets))


def noise(
    victim: Victim, rng: np.random.Generator, count: int = 20, dtype: torch.dtype = torch.float32
) -> AttackInputs:
    """Clips of noise, and one class that all of them are to be taken for."""
    images = torch.from_numpy(rng.random((count, 1, 12, 12))).to(dtype)
    starts = torch.from_numpy(rng.random((60, 1, 12, 12)) ** rng.uniform(0.3, 3, (60, 1, 1, 1))).to(dtype)
    predicted = victim.predict(images)
    return towards(victim, images, int((predicted.mode().values + 1) % 3), starts)


@pytest.fixture(scope="module")
def configured() -> dict[str, Attack]:
    """Every attack as params.yaml has it, which takes a while to read."""
    with chdir(ROOT):
        return {name: attacks.load(name) for name in NAMES}


@pytest.fixture
def attack(
    request: pytest.FixtureRequest,
    configured: dict[str, Attack],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Attack:
    """One of them, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return configured[request.param].model_copy(update=QUICK.get(request.param, {}))


every_attack = pytest.mark.parametrize("attack", NAMES, indirect=True)


@every_attack
def test_examples_are_in_bounds_and_measured(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    victim, everyone = Victim(network(), compute), np.arange(16)
    features = labelled_as_predicted(feature_store(rng, clips=16), victim, right=12)
    cell = Cell(CellPaths("stft", "resnet18", 1), features, Split(everyone, everyone, everyone), 0, compute)
    inputs = cell_inputs(cell, victim, everyone).starting_from(starting_points(cell, victim, attack))
    eligible = inputs.eligible.numpy()
    found = attacked(inputs, victim, attack)
    assert eligible.sum() == 12
    np.testing.assert_array_equal(found.eligible, eligible)
    assert found.adversarial.min() >= 0
    assert found.adversarial.max() <= 1
    verdict = victim.predict(torch.from_numpy(found.adversarial)).numpy()
    np.testing.assert_array_equal(verdict[found.success], found.target[found.success])
    sizes = perturbations.size(found.clean, found.adversarial, attack.norm)
    np.testing.assert_allclose(sizes[found.success], found.cost[found.success], rtol=1e-5)
    assert np.isinf(found.cost[~found.success]).all()
    assert (found.queries[eligible] > 0).all()
    assert (found.queries[~eligible] == 0).all()
    np.testing.assert_array_equal(found.adversarial[~found.success], found.clean[~found.success])


@every_attack
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 0.01), (torch.float64, 1e-9)])
def test_the_batch_size_changes_no_result(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams, dtype: torch.dtype, rtol: float
) -> None:
    victims = [Victim(network().to(dtype), compute.model_copy(update={"batch_size": size})) for size in (1, 7, 64)]
    inputs = noise(victims[0], rng, 8, dtype)
    found = [attack.search(victim, inputs, SEARCH) for victim in victims]
    assert found[0].fooled.any()
    for other in found[1:]:
        torch.testing.assert_close(other.cost, found[0].cost, rtol=rtol, atol=1e-6 * (rtol > 1e-3))
        if dtype == torch.float64:
            torch.testing.assert_close(other.adversarial, found[0].adversarial, rtol=0, atol=rtol)
        # In float32 a clip may need one more look at the end.
        torch.testing.assert_close(other.queries, found[0].queries, rtol=0, atol=2 * (dtype == torch.float32))


@every_attack
def test_a_model_that_ignores_its_input_is_not_fooled(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    victim = Victim(Deaf(), compute)
    images = torch.from_numpy(rng.random((10, 1, 16, 16), np.float32))
    found = attack.search(victim, towards(victim, images, 1, starts=images), SEARCH)
    assert not found.fooled.any()
    assert found.cost.isinf().all()
    torch.testing.assert_close(found.adversarial, images)


@every_attack
def test_silence_handed_back_on_failure_is_no_success(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    victim = Victim(SilenceIsTheTarget(), compute)
    images = torch.from_numpy(rng.random((10, 1, 16, 16), np.float32))
    assert not attack.search(victim, towards(victim, images, 1), SEARCH).fooled.any()


@every_attack
def test_the_cost_of_a_linear_model(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    levels = torch.tensor([0.40, 0.45, 0.48])
    images = levels[:, None, None, None].expand(-1, 1, 16, 16).clone()
    starts = torch.from_numpy(rng.uniform(0.4, 0.8, (5, 1, 16, 16)).astype(np.float32))
    found = attack.search(victim, towards(victim, images, 1, starts), SEARCH)
    # Every bin counts alike, so in every norm the cheapest way is to raise all by what the mean lacks.
    least = 0.5 - levels
    assert (found.cost >= 0.999 * least).all()
    # Those without gradients are given a few hundred queries.
    assert (found.cost <= {"white_box": 1.3, "black_box": 4.0}[attack.access] * least).all()


@every_attack
def test_where_no_clip_is_eligible_nothing_is_found(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    victim = Victim(network(), compute)
    features = labelled_as_predicted(feature_store(rng, clips=6), victim, right=0)
    found = attacked(attack_inputs(victim, features, np.arange(6), seed=0), victim, attack)
    assert not found.eligible.any()
    assert not found.success.any()


@every_attack
def test_an_attack_says_what_it_is(attack: Attack) -> None:
    assert attack.norm in {"linf", "l2", "l1"}
    assert attack.access in {"white_box", "black_box"}
    assert attack.paper
    assert attack.access == "black_box" or not attack.needs_starting_points


@pytest.mark.parametrize(
    "attack",
    [name for name in NAMES if issubclass(plugins.find("stages.attacks", name, Attack), FromOneStep)],
    indirect=True,
)
def test_iterating_never_costs_more_than_one_step(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    victim = Victim(network(), compute)
    inputs = noise(victim, rng)
    one, many = (each.search(victim, inputs, SEARCH).cost for each in (FGSM(schedule={}), attack))
    assert one.isfinite().any()
    assert (many <= one).all()


def test_attacks_that_minimise_l2_agree(
    rng: np.random.Generator, compute: ComputeParams, configured: dict[str, Attack]
) -> None:
    features = feature_store(rng, clips=60)
    victim = Victim(trained(features.features, features.labels), compute)
    inputs = attack_inputs(victim, features, np.arange(60), seed=0)
    assert inputs.eligible.float().mean() > 0.9
    chosen = inputs.eligible_only().subsample(20)
    medians = [
        float(configured[name].search(victim, chosen, SEARCH).cost.median()) for name in ("cw", "ddn", "deepfool")
    ]
    assert max(medians) <= 1.5 * min(medians)


def trained(images: Images, labels: Integers) -> nn.Module:
    model = network().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        functional.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels)).backward()
        optimizer.step()
    return model.eval()


def test_fgsm_steps_towards_the_target_by_the_budget(rng: np.random.Generator, compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    inputs = towards(victim, torch.from_numpy(rng.random((20, 1, 16, 16), np.float32)) * 0.9, 1)
    budget = torch.linspace(0.01, 0.1, len(inputs)).reshape(-1, 1, 1, 1)
    tried = FGSM(schedule={}).examples(victim.as_foolbox(), inputs, budget, inputs.clean)
    torch.testing.assert_close(tried.examples, (inputs.clean + budget).clamp(max=1))


def test_a_clip_leaves_a_descent_when_it_is_fooled() -> None:
    model = PyTorchModel(Linear().eval(), bounds=(0, 1), device="cpu")
    images = torch.tensor([0.49, 0.47, 0.1])[:, None, None, None].expand(-1, 1, 8, 8).clone()
    descent = LinfDescent(steps=8, rel_stepsize=0.25)
    budget = torch.full((3, 1, 1, 1), 0.1)
    tried = descent.run(model, images, Towards(torch.ones(3, dtype=torch.int64)), budget, images)
    # Steps of 0.025: fooled after one, after two, never; a pass more finds that out.
    assert tried.queries.tolist() == [2, 3, 8]
    torch.testing.assert_close(tried.examples[:, 0, 0, 0], torch.tensor([0.515, 0.52, 0.2]))


@pytest.mark.parametrize("theirs", [LinfBasicIterativeAttack, LinfProjectedGradientDescentAttack])
@pytest.mark.parametrize("targeted", [True, False])
def test_the_descent_is_foolboxes_to_the_bit(rng: np.random.Generator, theirs: Any, targeted: bool) -> None:
    model = PyTorchModel(network(), bounds=(0, 1), device="cpu")
    images = torch.from_numpy(rng.random((12, 1, 16, 16), np.float32))
    budget = torch.from_numpy(rng.uniform(0.01, 0.3, (12, 1, 1, 1)).astype(np.float32))
    predicted = model(images).argmax(1)
    classes = (predicted + 1) % 3 if targeted else predicted
    goal: Goal = Towards(classes) if targeted else AwayFrom(classes)
    ours, early = (
        LinfDescent(steps=7, rel_stepsize=0.3, stop_margin=margin).run(model, images, goal, budget, images)
        for margin in (NEVER, 0.1)
    )
    # Foolbox's signature says float, its arithmetic broadcasts: each clip has a budget of its own.
    criterion = TargetedMisclassification(classes) if targeted else Misclassification(classes)
    expected = theirs(steps=7, rel_stepsize=0.3, random_start=False).run(model, images, criterion, epsilon=budget)
    assert torch.equal(ours.examples, expected)
    assert ours.queries.tolist() == [7] * 12
    # Some clips go on beyond the boundary.
    assert not torch.equal(early.examples, expected)


@pytest.mark.parametrize("rule", ["single", "pair"])
def test_saliency_agrees_with_a_naive_search(rng: np.random.Generator, rule: Rule) -> None:
    images = torch.from_numpy(rng.random((2, 1, 6, 6), np.float32))
    model = PyTorchModel(network(4), bounds=(0, 1), device="cpu")
    targets = (model(images).argmax(1) + 1) % 3
    attack = SaliencyMapAttack(rule=rule, theta=0.6, bins_per_step=1, steps=4)
    found = attack.run(model, images, TargetedMisclassification(targets))
    for image, target, example in zip(images, targets, found, strict=True):
        torch.testing.assert_close(example, naive_saliency(model, image, target, rule, theta=0.6, steps=4))


def naive_saliency(model: PyTorchModel, image: Tensor, target: Tensor, rule: Rule, theta: float, steps: int) -> Tensor:
    """Section IV of the paper, bin by bin and pair by pair, in both directions."""
    image, moved = image.flatten().clone(), torch.zeros(image.numel())
    slopes = {"single": probability_gradients, "pair": logit_gradients}[rule]
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
    nearest = starts.starts(clean, torch.tensor([0, 1, 2]))
    torch.testing.assert_close(nearest[:, 0, 0, 0], torch.tensor([0.1, 0.9, 0.8]))


def test_only_clips_that_the_victim_gets_right_are_starts(
    rng: np.random.Generator, compute: ComputeParams, configured: dict[str, Attack]
) -> None:
    victim, training = Victim(network(), compute), np.arange(5, 20)
    features = labelled_as_predicted(feature_store(rng, clips=20), victim, right=12)
    cell = Cell(CellPaths("stft", "resnet18", 1), features, Split(training, training, training), 0, compute)
    inputs, images, labels = attack_inputs(victim, features, training, 0), *cell.clips(np.arange(20))
    nearest = [StartingPoints(images[5:end], labels[5:end]).starts(inputs.clean, inputs.targets) for end in (12, 20)]
    assert not torch.equal(nearest[0], nearest[1])
    prepared = cell_inputs(cell, victim, training)
    for name, starts in (("hopskipjump", nearest[0]), ("bim", inputs.clean)):
        points = starting_points(cell, victim, configured[name])
        torch.testing.assert_close(prepared.starting_from(points).starts, starts)


@pytest.mark.parametrize("attack", ["hopskipjump", "boundary"], indirect=True)
def test_a_clip_without_a_start_fails_alone(attack: Attack, compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    images = torch.full((3, 1, 8, 8), 0.4)
    starts = torch.stack([torch.full((1, 8, 8), level) for level in (0.7, 0.4, 0.6)])
    inputs = to_attack(images, torch.ones(3, dtype=torch.int64), starts)
    assert attack.search(victim, inputs, SEARCH).fooled.tolist() == [True, False, True]


@pytest.fixture
def twenty(
    rng: np.random.Generator, compute: ComputeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[AttackInputs, Victim]:
    """Clips that a victim gets right, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    victim = Victim(network(), compute)
    features = labelled_as_predicted(feature_store(rng, clips=20), victim)
    return attack_inputs(victim, features, np.arange(20), seed=0), victim


def test_a_killed_run_goes_on_with_the_next_shard(
    twenty: tuple[AttackInputs, Victim], monkeypatch: pytest.MonkeyPatch
) -> None:
    (inputs, victim), fgsm = twenty, FGSM(schedule={})
    monkeypatch.setattr(run, "SHARD", 8)
    whole = attacked(inputs, victim, fgsm)
    tried: list[int] = []

    def search(
        _self: FGSM, victim: Victim, inputs: AttackInputs, search: SearchParams, stop_at_success_rate: float = 1.0
    ) -> AttackResult:
        tried.append(len(inputs))
        if len(tried) == 3:
            raise KeyboardInterrupt
        return OneStep(schedule={}).search(victim, inputs, search, stop_at_success_rate)

    monkeypatch.setattr(FGSM, "search", search)
    with pytest.raises(KeyboardInterrupt):
        attacked(inputs, victim, fgsm)
    again = attacked(inputs, victim, fgsm)
    assert tried == [8, 8, 4, 4]
    for name in ("adversarial", "cost", "queries", "success"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert not list(Path(".scratch").glob("*"))


def test_what_was_found_is_kept_until_it_is_written(
    twenty: tuple[AttackInputs, Victim], monkeypatch: pytest.MonkeyPatch
) -> None:
    (inputs, victim), fgsm = twenty, FGSM(schedule={})
    # There is no space left to write it.
    found = attack_run(inputs, victim, fgsm).adversarial({})
    monkeypatch.setattr(FGSM, "search", None)
    np.testing.assert_array_equal(attacked(inputs, victim, fgsm).cost, found.cost)
    assert not list(Path(".scratch").glob("*"))


def test_what_was_found_for_another_network_is_not_taken_up(
    twenty: tuple[AttackInputs, Victim], compute: ComputeParams
) -> None:
    (inputs, victim), fgsm = twenty, FGSM(schedule={})
    own = attack_run(inputs, victim, fgsm).adversarial({})
    torch.manual_seed(1)
    other = Victim(nn.Sequential(nn.Flatten(), nn.Linear(inputs.clean[0].numel(), 3)), compute)
    assert (attacked(inputs, other, fgsm).cost != own.cost).any()
    assert len(list(Path(".scratch").glob("*"))) == 1


def test_the_search_may_end_when_enough_are_fooled(compute: ComputeParams) -> None:
    images = torch.linspace(0.1, 0.49, 10)[:, None, None, None].expand(-1, 1, 8, 8).clone()
    search = SearchParams(start=0.05, smallest=0.05, factor=2.0, tolerance=1.0)
    victim = Victim(Linear(), compute)
    found = FGSM(schedule={}).search(victim, towards(victim, images, 1), search, stop_at_success_rate=0.5)
    assert 0.5 <= found.fooled.float().mean() < 1


class Cheat(FixedBudget):
    """Fools at once, with twice the budget."""

    norm: ClassVar[Norm] = "linf"
    access: ClassVar[Access] = "white_box"
    paper = "none"

    @property
    def iterations(self) -> int:
        return 1

    def examples(self, model: object, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:  # noqa: ARG002
        return Candidates.alike((inputs.clean + 2 * budget).clamp(0, 1), 1)


def test_an_example_beyond_the_budget_counts_at_its_own_cost(compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    inputs = towards(victim, torch.full((1, 1, 8, 8), 0.3), 1)
    found = Cheat(schedule={}).search(victim, inputs, SearchParams(start=0.15, smallest=0.15, factor=2.0, tolerance=1))
    # Twice 0.15 does, and on the way there 0.2.
    assert found.cost[0] == pytest.approx(0.2, abs=0.005)
    assert not (found.cost <= 0.15).any()


class Timid(MinimumNorm):
    """Raises the image by a tenth a step."""

    norm: ClassVar[Norm] = "linf"
    access: ClassVar[Access] = "white_box"
    paper = "none"

    def examples(self, model: object, inputs: AttackInputs) -> Candidates:  # noqa: ARG002 - the interface
        return Candidates.alike((inputs.clean + 0.1 * self.steps).clamp(0, 1), 1)


def tuned(compute: ComputeParams, attack: Attack, means: Sequence[float], max_levels: int) -> Tuning:
    """An attack tuned on one linear model."""
    victim = Victim(Linear(), compute)
    images = torch.tensor(means)[:, None, None, None].expand(-1, 1, 8, 8).clone()
    return tune(attack, [(victim, towards(victim, images, 1))], settings_of(max_levels=max_levels))


@pytest.mark.parametrize(
    ("means", "max_levels", "steps", "reached", "converged"),
    [
        ([0.15, 0.3, 0.35], 0, 1, False, False),
        ([0.15, 0.3, 0.35], 1, 2, False, False),
        ([0.15, 0.3, 0.35], 5, 4, True, True),
        ([0.01, 0.45, 0.45], 2, 1, False, True),
        ([0.45, 0.45, 0.45], 5, 1, True, True),
    ],
)
def test_tuning_climbs_until_enough_are_fooled_or_nothing_is_gained(
    compute: ComputeParams, means: list[float], max_levels: int, steps: int, reached: bool, converged: bool
) -> None:
    found = tuned(compute, Timid(steps=1, schedule={"steps": 2}), means, max_levels)
    assert isinstance(found.attack, Timid)
    assert (found.attack.steps, found.reached, found.converged) == (steps, reached, converged)


class Cheaper(Timid):
    """Fools every clip at once, and at each level at half the price, but never below a tenth."""

    def examples(self, model: object, inputs: AttackInputs) -> Candidates:  # noqa: ARG002 - the interface
        return Candidates.alike((inputs.clean + max(0.4 / self.steps, 0.1)).clamp(0, 1), 1)

    def verified_distances(self, victim: Victim, inputs: AttackInputs, examples: Tensor) -> Tensor:  # noqa: ARG002
        return (examples - inputs.clean).flatten(1).amax(1)


@pytest.mark.parametrize(("max_levels", "steps", "fall", "converged"), [(1, 2, 0.5, False), (9, 4, 0.0, True)])
def test_tuning_climbs_until_the_median_cost_no_longer_falls(
    compute: ComputeParams, max_levels: int, steps: int, fall: float, converged: bool
) -> None:
    found = tuned(compute, Cheaper(steps=1, schedule={"steps": 2}), [0.1] * 4, max_levels)
    assert isinstance(found.attack, Cheaper)
    assert (found.attack.steps, found.converged) == (steps, converged)
    assert found.fall == pytest.approx(fall, abs=0.01)
    assert found.facts["tuning_fall"] == found.fall


@pytest.mark.parametrize("kind", [DDN, FMN, SoundDDN])
def test_attacks_made_for_checks_are_those_of_the_grid(kind: type[DDN] | type[FMN] | type[SoundDDN]) -> None:
    with chdir(ROOT):
        usual = attacks.load(kind.__module__.rpartition(".")[2])
    assert kind.of_steps(7) == usual.model_copy(update={"steps": 7, "schedule": {}})


def test_the_fall_is_seen_though_the_median_clip_stays() -> None:
    attack = Timid(steps=1, schedule={})
    before = Level(attack, [np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.array([0.1, np.inf])])
    after = Level(attack, [np.array([0.05, 0.1, 0.3, 0.35, 0.45]), np.array([0.1, np.inf])])
    assert after.fall(before) == pytest.approx(0.125)
    assert before.fall(before) == 0
    reached = Level(attack, [np.array([np.inf]), np.array([0.1])]).fall(Level(attack, [np.array([np.inf])] * 2))
    assert reached == 1


def test_all_models_get_the_strength_that_the_hardest_needs(compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    easy, hard = (towards(victim, torch.full((3, 1, 8, 8), level), 1) for level in (0.45, 0.35))
    timid, settings = Timid(steps=1, schedule={"steps": 2}), settings_of()
    assert tune(timid, [(victim, easy)], settings).levels == 0
    assert tune(timid, [(victim, easy), (victim, hard)], settings).levels == 1


def test_a_share_that_is_just_reached_is_reached(compute: ComputeParams) -> None:
    """0.9 of 20 clips, which is less than 0.9 in float32."""
    found = tuned(compute, Timid(steps=1, schedule={"steps": 2}), [0.45] * 18 + [0.01] * 2, 3)
    assert (found.ceiling, found.reached, found.levels) == (0.9, True, 0)


def test_a_budget_is_tried_on_every_clip_even_below_the_smallest_one_searched(compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    levels = torch.linspace(0.305, 0.495, 20)[:, None, None, None].expand(-1, 1, 8, 8).clone()
    near = towards(victim, levels, 1)
    found = AttackResult.nothing(near)
    found.keep_better(torch.arange(20), levels + 0.3, torch.full((20,), 0.3))
    search = SEARCH.model_copy(update={"smallest": 0.5}).starting_at(0.1)
    BIM(steps=10, rel_stepsize=0.2, schedule={}).improve(found, victim, near, search, stop_at_success_rate=1)
    assert int((found.cost <= 0.1).sum()) == 10


class Untouchable(MinimumNorm):
    """Cannot be made stronger, and must not be tried for it."""

    norm: ClassVar[Norm] = "linf"
    access: ClassVar[Access] = "white_box"
    paper = "none"

    def examples(self, model: object, inputs: AttackInputs) -> Candidates:  # noqa: ARG002 - the interface
        raise AssertionError("it was tried")


def test_an_attack_without_a_schedule_is_not_tuned(compute: ComputeParams) -> None:
    victim = Victim(Linear(), compute)
    settings = settings_of(tuning_clips=3)
    inputs = towards(victim, torch.full((3, 1, 8, 8), 0.3), 1)
    found = tune(Untouchable(steps=1, schedule={}), [(victim, inputs)], settings)
    assert (found.clips, found.fall, found.levels, found.reached, found.converged) == (0, None, 0, False, True)


def test_a_schedule_raises_each_parameter_up_to_its_bound(configured: dict[str, Attack]) -> None:
    pgd = PGD(steps=3000, rel_stepsize=0.1, restarts=3, schedule={"steps": 2, "restarts": 1.1})
    once = pgd.stronger()
    assert (once.steps, once.restarts) == (6000, 4)
    twice = once.stronger()
    assert (twice.steps, twice.restarts) == (6000, 5)
    highest = once.model_copy(update={"restarts": 100})
    assert highest.stronger() == highest
    assert configured["fgsm"].stronger() == configured["fgsm"]


@pytest.mark.usefixtures("workdir")
def test_a_schedule_of_unknown_parameters_is_refused() -> None:
    text = params.FILE.read_text(encoding="utf-8").replace("schedule: {steps: 2}", "schedule: {stride: 2}", 1)
    params.FILE.write_text(text, encoding="utf-8")
    with pytest.raises(
        InputError, match=r"attacks.mifgsm: schedule: stride is no number of the attack; it has steps, rel_"
    ):
        attacks.load("mifgsm")


with_budget = pytest.mark.parametrize(
    "attack",
    [name for name in NAMES if issubclass(plugins.find("stages.attacks", name, Attack), FixedBudget)],
    indirect=True,
)

by_gradients = pytest.mark.parametrize(
    "attack",
    [name for name in NAMES if issubclass(plugins.find("stages.attacks", name, Attack), FromOneStep | OneStep)],
    indirect=True,
)
"""Attacks that are as good at every budget: a search at random is not."""


@by_gradients
def test_what_fools_at_the_first_budget_costs_no_more(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    victim = Victim(Linear(), compute)
    inputs = towards(victim, torch.from_numpy(rng.uniform(0.45, 0.499, (200, 1, 8, 8))).float(), 1)
    search = SearchParams(start=0.06, smallest=0.06, factor=2.0, tolerance=1.0)
    cost = attack.search(victim, inputs, search).cost
    assert (cost <= 0.06).all(), cost.max() - 0.06


@by_gradients
def test_the_first_budget_is_tried_even_if_more_is_known_to_suffice(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    """From 0.045 by factors of 2, budgets would be 0.0225 and then 0.01125, which is too little."""
    assert isinstance(attack, FixedBudget)
    victim = Victim(Linear(threshold=0.514), compute)
    inputs = towards(victim, torch.from_numpy(rng.uniform(0.4999, 0.5001, (20, 1, 8, 8))).float(), 1)
    search = SearchParams(start=0.02, smallest=0.0005, factor=2.0, tolerance=1.0)
    found = AttackResult.nothing(inputs)
    found.keep_better(torch.arange(20), inputs.clean + 0.045, torch.full((20,), 0.045))
    attack.improve(found, victim, inputs, search, 1.0)
    assert (found.cost <= 0.02).all()


class Reluctant(FixedBudget):
    """Fools within 0.019, but only from an example of a larger budget."""

    norm: ClassVar[Norm] = "linf"
    access: ClassVar[Access] = "white_box"
    paper = "none"

    @property
    def iterations(self) -> int:
        return 1

    def examples(self, model: object, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:  # noqa: ARG002
        warm = (start - inputs.clean).flatten(1).amax(1) > 0.021
        reach = torch.where((budget.flatten() > 0.021) | warm, budget.flatten(), 0.0).reshape(budget.shape)
        return Candidates.alike(inputs.clean + reach, 1)


def test_a_budget_just_missed_is_tried_again_from_what_fools(compute: ComputeParams) -> None:
    victim = Victim(Linear(threshold=0.519), compute)
    inputs = towards(victim, torch.full((3, 1, 8, 8), 0.5), 1)
    found = Reluctant(schedule={}).search(
        victim, inputs, SearchParams(start=0.02, smallest=0.0005, factor=2.0, tolerance=0.1)
    )
    assert (found.cost <= 0.02).all()


@with_budget
def test_a_budget_is_kept(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    assert isinstance(attack, FixedBudget)
    victim = Victim(network(), compute)
    inputs = noise(victim, rng)
    budgets = torch.from_numpy(rng.uniform(0.001, 0.5, len(inputs)).astype(np.float32))
    tried = attack.examples(victim.as_foolbox(), inputs, budgets.reshape(-1, 1, 1, 1), inputs.starts)
    sizes = perturbations.size(inputs.clean.numpy(), tried.examples.numpy(), attack.norm)
    assert (sizes <= budgets.numpy() + 1e-6).all()
    assert tried.examples.min() >= 0
    assert tried.examples.max() <= 1
