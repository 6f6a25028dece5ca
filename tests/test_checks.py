"""Each check holds for what is right and fails for what is planted."""

from collections.abc import Mapping
from contextlib import chdir
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages import attacks
from stages.attacks.base.domains import IMAGE
from stages.attacks.base.inputs import AttackInputs, attack_inputs
from stages.attacks.base.minimum_norm import UNUSED
from stages.attacks.ddn import DDN
from stages.attacks.fmn import FMN
from stages.core.compute import ComputeParams
from stages.evaluation import checks, diagnostics, harder_attacks, rules
from stages.evaluation.attacked import Attacked
from stages.evaluation.image_departures import curve, image_departures
from stages.evaluation.stored_attacks import StoredAttack
from stages.models.victim import Victim
from stages.stores.adversarial import Adversarial
from stages.stores.perturbations import Norm
from tests.attack_helpers import to_attack
from tests.helpers import ROOT, attack_store, feature_store

EPS = 0.05
BUDGETS: dict[Norm, float] = {"linf": 0.02, "l2": 0.02, "l1": 0.01}
STEPS = 2
"""That attacks took: the probe takes more."""

COSTS = [0.01] * 6
WEAK = [0.01] * 5 + [np.inf]


class Brightness(nn.Module):
    """Takes what is brighter than grey for class 1, or nothing at all."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, images: Tensor) -> Tensor:
        margin = images.mean(dim=(1, 2, 3)) - 0.5 - self.threshold
        return torch.stack([-margin, margin], dim=1)


def judge(figures: Mapping[str, float]) -> dict[str, int]:
    """The verdict on a baseline."""
    return rules.judge(figures, "baseline")


def held(figures: Mapping[str, float]) -> set[int]:
    """Whether the checks that have a figure hold."""
    return {holds for name, holds in judge(figures).items() if name != "passed"}


def test_a_check_without_a_figure_does_not_pass() -> None:
    right = {name: rule.least if np.isfinite(rule.least) else rule.most for name, rule in rules.RULES.items()}
    assert judge(right)["passed"] == 1
    for name in rules.applying("hardened"):
        left = {other: figure for other, figure in right.items() if other != name}
        assert rules.judge(left, "hardened")["passed"] == 0
        assert judge(left)["passed"] == int(name == "transfer_not_stronger")


def attacked(compute: ComputeParams, threshold: float = 0.001, **found: Adversarial) -> Attacked:
    """A model and what attacks found of six grey clips."""
    with chdir(ROOT):
        kinds = {name: attacks.load(name) for name in found}
    inputs = to_attack(torch.full((6, 1, 32, 32), 0.5), torch.ones(6, dtype=torch.int64))
    return Attacked(
        domain=IMAGE,
        victim=Victim(Brightness(threshold), compute),
        inputs=inputs,
        groups=inputs.clips,
        attacks={name: StoredAttack(store, kinds[name]) for name, store in found.items()},
        baseline={},
        budgets=BUDGETS,
    )


def test_what_is_right_passes(compute: ComputeParams) -> None:
    found = attacked(compute, fgsm=attack_store(WEAK), bim=attack_store(COSTS), boundary=attack_store(COSTS))
    figures = checks.of_stores(found) | checks.of_attacks(found)
    assert held(figures) == {1}
    assert set(figures) < set(rules.RULES)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bounds_kept", {"adversarial": np.full((6, 1, 32, 32), 1.1, np.float32)}),
        ("sizes_confirmed", {"sizes": dict.fromkeys(("linf", "l2", "l1", "l0"), np.full(6, 0.5, np.float32))}),
        ("eligible_confirmed", {"eligible": np.array([True] * 5 + [False])}),
    ],
)
def test_what_is_stored_wrongly_fails(name: str, change: dict[str, Any], compute: ComputeParams) -> None:
    found = attacked(compute, bim=replace(attack_store(COSTS), **change))
    judged = judge(checks.of_stores(found))
    assert (judged[name], judged["passed"]) == (0, 0)


def test_success_that_the_model_does_not_confirm(compute: ComputeParams) -> None:
    found = attacked(compute, threshold=0.5, bim=attack_store(COSTS))
    assert judge(checks.of_stores(found))["success_confirmed"] == 0


def test_of_two_domains_the_worse_figure_counts() -> None:
    first, second = {"bounds_kept": 0.0, "unlimited_budget_moves": 1.0}, {"bounds_kept": 0.5, "sizes_confirmed": 0.0}
    second["unlimited_budget_moves"] = 0.5
    combined = {"bounds_kept": 0.5, "unlimited_budget_moves": 0.5, "sizes_confirmed": 0.0}
    assert checks.worse(first, second) == checks.worse(second, first) == combined


def test_attacks_beside_each_other(compute: ComputeParams) -> None:
    strong, weak = attack_store(COSTS), attack_store(WEAK)
    single = checks.of_attacks(attacked(compute, fgsm=strong, bim=weak))
    assert judge(single)["iterative_not_weaker"] == 0
    black = checks.of_attacks(attacked(compute, boundary=strong, bim=weak))
    assert judge(black)["black_box_not_stronger"] == 0
    alone = checks.of_attacks(attacked(compute, boundary=strong))
    assert alone == {}


class Recoiling(nn.Module):
    """Takes what is brighter by most of the budget for class 1, but its gradient points there from the clips alone."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = images.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        distance = torch.cdist(images.detach().flatten(1), self.images)
        brighter = (images.detach().flatten(1) - self.images[distance.argmin(1)]).mean(1)
        way = torch.where(distance.amin(1) < 1e-4, 1.0, -1.0)
        margin = brighter - 0.75 * EPS + way * (images - images.detach()).mean(dim=(1, 2, 3))
        return torch.stack([-margin, margin], dim=1)


def test_steps_that_lead_nowhere(rng: np.random.Generator, compute: ComputeParams) -> None:
    images = torch.from_numpy(rng.uniform(0.2, 0.8, (6, 1, 8, 8))).float()
    inputs = to_attack(images, torch.ones(6, dtype=torch.int64))
    figure = harder_attacks.of_steps(Victim(Recoiling(images), compute), inputs, EPS)
    assert figure == {"iterative_not_weaker": 1.0}
    assert judge(figure)["iterative_not_weaker"] == 0


def test_a_black_box_that_fools_other_clips_is_stronger_on_them(compute: ComputeParams) -> None:
    """Even if it fools no more of them."""
    first, last = attack_store([0.01] * 3 + [np.inf] * 3), attack_store([np.inf] * 3 + [0.01] * 3)
    figures = checks.of_attacks(attacked(compute, boundary=first, bim=last))
    assert figures["black_box_not_stronger"] == pytest.approx(0.5)


def test_transfer_beside_adaptive() -> None:
    found = {"bim": attack_store(WEAK)}
    norms: dict[str, Norm] = {"bim": "linf", "cw": "l2"}
    assert checks.transfer_lead(found, {"bim": {"fooling_rate": 1.0}}, norms, BUDGETS) == pytest.approx(1 / 6)
    assert checks.transfer_lead(found, {"bim": {"fooling_rate": 0.5}}, norms, BUDGETS) < 0


def test_transfer_is_compared_in_its_own_norm() -> None:
    """What is cheap in another norm is no excuse."""
    store = attack_store(COSTS)
    found = {"jsma": replace(store, sizes={**store.sizes, "linf": np.full(6, 0.9, np.float32)})}
    lead = checks.transfer_lead(found, {"bim": {"fooling_rate": 0.4}}, {"bim": "linf"}, BUDGETS)
    assert lead == pytest.approx(0.4)


def test_clips_that_leak() -> None:
    assert checks.leaked(np.array(["a", "b"]), np.array(["b", "c"])) == 1


class Bands(nn.Module):
    """Takes a clip for the class whose rows are the loudest."""

    def forward(self, images: Tensor) -> Tensor:
        images = self.first(images)
        bands = [images[:, :, 10 * label : 10 * label + 8].mean(dim=(1, 2, 3)) for label in range(3)]
        return 10 * torch.stack(bands, dim=1)

    def first(self, images: Tensor) -> Tensor:
        return images


class Quantised(Bands):
    def first(self, images: Tensor) -> Tensor:
        return (4 * images).round() / 4


class Saturated(Bands):
    def first(self, images: Tensor) -> Tensor:
        return 0.5 + 0.5 * torch.tanh(1000 * (images - 0.4))


class Noisy(Bands):
    def first(self, images: Tensor) -> Tensor:
        return images + 0.01 * torch.randn_like(images)


class Certain(Bands):
    def forward(self, images: Tensor) -> Tensor:
        return 100 * super().forward(images)


class Probabilities(Bands):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).softmax(1)


def probed(model: nn.Module, compute: ComputeParams, rng: np.random.Generator) -> tuple[dict[str, int], AttackInputs]:
    victim = Victim(model, compute)
    inputs = attack_inputs(victim, feature_store(rng), np.arange(30), seed=0)
    assert inputs.eligible.all()
    figures = {
        **diagnostics.of_model(victim, inputs.clean),
        **diagnostics.of_gradients(victim, inputs),
        **harder_attacks.of_budgets(victim, inputs, 0.02),
        **harder_attacks.of_effort(victim, inputs, np.full(30, np.inf), 0.02, STEPS),
    }
    return judge(figures), inputs


def test_a_model_that_hides_nothing_passes(compute: ComputeParams, rng: np.random.Generator) -> None:
    judged = probed(Bands(), compute, rng)[0]
    assert {name for name, holds in judged.items() if not holds} == {"passed"}


@pytest.mark.parametrize("model", [Quantised(), Saturated()])
def test_a_model_that_masks_its_gradients_is_caught(
    model: nn.Module, compute: ComputeParams, rng: np.random.Generator
) -> None:
    judged = probed(model, compute, rng)[0]
    assert (judged["gradients_alive"], judged["large_budget_leaves_nothing"], judged["passed"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Noisy(), "forward_deterministic"),
        (Certain(), "logits_not_saturated"),
        (Probabilities(), "logits_not_saturated"),
    ],
)
def test_other_signs_are_caught(model: nn.Module, name: str, compute: ComputeParams, rng: np.random.Generator) -> None:
    assert probed(model, compute, rng)[0][name] == 0


def test_an_attack_too_weak_for_the_budget_is_caught(compute: ComputeParams, rng: np.random.Generator) -> None:
    """Within 0.4 every clip can be fooled; a search that found nothing is caught, one that found all is not."""
    _, inputs = probed(Bands(), compute, rng)
    victim = Victim(Bands(), compute)
    missed = harder_attacks.of_effort(victim, inputs, np.full(30, np.inf), 0.4, STEPS)
    assert missed["effort_converged"] == pytest.approx(harder_attacks.NEAREST / 30)
    assert judge(missed)["effort_converged"] == 0
    assert harder_attacks.of_effort(victim, inputs, np.full(30, 0.3), 0.4, STEPS)["effort_converged"] == 0


def test_weak_attacks_are_caught_on_large_test_folds_too(compute: ComputeParams, rng: np.random.Generator) -> None:
    victim = Victim(Bands(), compute)
    inputs = attack_inputs(victim, feature_store(rng, clips=300), np.arange(300), seed=0).eligible_only()
    missed = harder_attacks.of_effort(victim, inputs, np.full(300, np.inf), 0.4, STEPS)
    assert judge(missed)["effort_converged"] == 0


class Detached(Bands):
    """Half of the logits pass no gradient."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + super().forward(
            images.flip(3).detach() * torch.linspace(0, 2, images.shape[3])
        )


def test_a_branch_without_a_gradient_is_caught(compute: ComputeParams, rng: np.random.Generator) -> None:
    assert probed(Detached(), compute, rng)[0]["gradients_match"] == 0


class Rounding(Bands):
    """As `Bands`, but what low precision rounds off turns its gradients about."""

    def first(self, images: Tensor) -> Tensor:
        rounded = nn.functional.linear(images, torch.eye(images.shape[3])).float()
        return images * (1 + 3000 * (rounded - images))


def test_noise_of_low_precision_is_no_defense(compute: ComputeParams, rng: np.random.Generator) -> None:
    low = compute.model_copy(update={"precision": "bfloat16"})
    inputs = attack_inputs(Victim(Bands(), compute), feature_store(rng), np.arange(30), seed=0)
    for model, holds in ((Bands(), 1), (Rounding(), 0)):
        assert judge(diagnostics.of_precision(Victim(model, low), inputs))["low_precision_harmless"] == holds


def test_costs_of_an_attack_that_stopped_early_are_undercut(compute: ComputeParams, rng: np.random.Generator) -> None:
    _, inputs = probed(Bands(), compute, rng)
    victim, ddn = Victim(Bands(), compute), DDN.of_steps(100)
    best = ddn.costs(victim, inputs).numpy()
    nearest = FMN.of_steps(200).costs(victim, inputs).numpy()
    for share, holds in ((1.0, 1), (1.3, 0)):
        sizes: dict[Norm, Any] = {"linf": nearest, "l2": share * best}
        figures = harder_attacks.of_fresh_images(victim, inputs, sizes, {"linf": 50, "l2": 50})
        assert judge(figures)["locally_optimal"] == holds


class Masked(Bands):
    """Right as `Bands`, but its gradient points elsewhere."""

    def first(self, images: Tensor) -> Tensor:
        return images.detach() - 0.01 * (images - images.detach())


def test_a_search_without_gradients_shows_a_masked_loss(compute: ComputeParams, rng: np.random.Generator) -> None:
    _, inputs = probed(Bands(), compute, rng)
    nothing, everything = np.zeros(30, bool), np.ones(30, bool)
    masked = harder_attacks.of_random_search(Victim(Masked(), compute), inputs, nothing, nothing, 0.45)
    assert judge(masked)["black_box_not_stronger"] == 0
    told = harder_attacks.of_random_search(Victim(Bands(), compute), inputs, everything, everything, 0.45)
    assert judge(told)["black_box_not_stronger"] == 1


class Remembering(Masked):
    """As `Masked`, but it knows some examples by heart."""

    def __init__(self, examples: Tensor, labels: Tensor) -> None:
        super().__init__()
        self.examples, self.labels = examples.flatten(1), labels

    def forward(self, images: Tensor) -> Tensor:
        distances = torch.cdist(images.detach().flatten(1), self.examples)
        known = 100 * nn.functional.one_hot(self.labels[distances.argmin(1)], 3).float()
        return torch.where(distances.amin(1, keepdim=True) < 0.01, known, super().forward(images))


def test_fresh_examples_for_another_model_show_one_that_knows_the_stored_ones(
    compute: ComputeParams, rng: np.random.Generator
) -> None:
    """Stored examples do not fool it, nor do attacks on it, since it masks its gradients; fresh examples do."""
    _, inputs = probed(Bands(), compute, rng)
    nothing, everything = np.zeros(30, bool), np.ones(30, bool)
    surrogate = Victim(Bands(), compute)
    examples = DDN.of_steps(50).search(surrogate, inputs, UNUSED).adversarial
    assert surrogate.takes(examples, inputs.targets).all()
    victim = Victim(Remembering(examples, inputs.labels), compute)
    assert not victim.takes(examples, inputs.targets).any()
    for found, holds in ((nothing, 0), (everything, 1)):
        figures = harder_attacks.of_transfer(victim, surrogate, inputs, {0.4: (found, found)})
        assert rules.judge(figures, "hardened")["transfer_not_stronger"] == holds


def test_images_leave_their_class_where_the_budget_allows_it(compute: ComputeParams, rng: np.random.Generator) -> None:
    """Bands of blobs lie 0.5 apart: a change of 0.1 closes no such gap, one of 0.4 does."""
    victim = Victim(Bands(), compute)
    inputs = attack_inputs(victim, feature_store(rng), np.arange(30), seed=0)
    found = replace(attacked(compute), victim=victim, inputs=inputs, groups=inputs.clips)
    sizes = image_departures(found, [0.1, 0.4])
    assert (sizes > 0.1).all()
    assert (sizes <= 0.4).all()
    none = replace(inputs, eligible=torch.zeros(30, dtype=torch.bool))
    assert image_departures(replace(found, inputs=none), [0.1]).tolist() == [0] * 30


def test_the_curve_has_the_budget_of_the_training() -> None:
    assert curve(0.02, 0.09) == [0.02, 0.06, 0.09]
    assert curve(0.02, 0.06) == curve(0.02, None) == [0.02, 0.06]


def test_clips_that_targeted_attacks_alone_move_are_counted() -> None:
    targeted, own = np.array([0.01, 0.01, np.inf, np.inf]), np.array([0.01, 0.03, 0.01, np.inf])
    figures = checks.of_departures(own, targeted, targeted, 0.02)
    assert figures == {"untargeted_not_weaker": 0.25, "unlimited_budget_moves": 0.75}
    black = checks.of_departures(np.full(4, np.inf), targeted, np.full(4, np.inf), 0.02)
    assert black["unlimited_budget_moves"] == 0
    assert held(figures) == {0}


def test_a_masked_loss_keeps_an_unlimited_budget_from_moving_clips(
    compute: ComputeParams, rng: np.random.Generator
) -> None:
    _, inputs = probed(Bands(), compute, rng)
    unfooled = np.full(30, np.inf)
    for model, holds in ((Bands(), 1), (Masked(), 0)):
        found = replace(attacked(compute), victim=Victim(model, compute), inputs=inputs, groups=inputs.clips)
        figures = checks.of_departures(image_departures(found, [0.02]), unfooled, unfooled, 0.02)
        assert judge(figures)["unlimited_budget_moves"] == holds


def test_the_largest_fall_is_measured_from_the_best_so_far() -> None:
    assert harder_attacks.largest_fall([0.2, 0.8, 0.9]) == 0
    assert harder_attacks.largest_fall([0.2, 0.8, 0.5, 0.6]) == pytest.approx(0.3)
