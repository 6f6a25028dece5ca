"""Each check holds for what is right and fails for what is planted."""

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
from stages.core.compute import ComputeParams
from stages.evaluation import checks, diagnostics, rules
from stages.evaluation.attacked import Attacked
from stages.evaluation.stored_attacks import StoredAttack
from stages.models.victim import Victim
from stages.stores.adversarial import Adversarial
from stages.stores.perturbations import Norm
from tests.attack_helpers import to_attack
from tests.helpers import ROOT, attack_store, feature_store

EPS = 0.05
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


def attacked(compute: ComputeParams, threshold: float = 0.001, **found: Adversarial) -> Attacked:
    """A model and what attacks found of six grey clips."""
    with chdir(ROOT):
        kinds = {name: attacks.load(name) for name in found}
    return Attacked(
        domain=IMAGE,
        victim=Victim(Brightness(threshold), compute),
        inputs=to_attack(torch.full((6, 1, 32, 32), 0.5), torch.ones(6, dtype=torch.int64)),
        attacks={name: StoredAttack(store, kinds[name]) for name, store in found.items()},
        baseline={},
        budget=0.02,
    )


def test_what_is_right_passes(compute: ComputeParams) -> None:
    found = attacked(compute, fgsm=attack_store(WEAK), bim=attack_store(COSTS), boundary=attack_store(COSTS))
    figures = checks.of_stores(found) | checks.of_attacks(found)
    assert set(rules.judge(figures).values()) == {1}
    assert set(figures) < set(rules.RULES)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bounds_kept", {"adversarial": np.full((6, 1, 32, 32), 1.1, np.float32)}),
        ("sizes_confirmed", {"sizes": dict.fromkeys(("linf", "l2", "l1"), np.full(6, 0.5, np.float32))}),
        ("eligible_confirmed", {"eligible": np.array([True] * 5 + [False])}),
    ],
)
def test_what_is_stored_wrongly_fails(name: str, change: dict[str, Any], compute: ComputeParams) -> None:
    found = attacked(compute, bim=replace(attack_store(COSTS), **change))
    judged = rules.judge(checks.of_stores(found))
    assert (judged[name], judged["passed"]) == (0, 0)


def test_success_that_the_model_does_not_confirm(compute: ComputeParams) -> None:
    found = attacked(compute, threshold=0.5, bim=attack_store(COSTS))
    assert rules.judge(checks.of_stores(found))["success_confirmed"] == 0


def test_of_two_domains_the_worse_figure_counts() -> None:
    first, second = {"bounds_kept": 0.0, "unlimited_budget_fools": 1.0}, {"bounds_kept": 0.5, "sizes_confirmed": 0.0}
    second["unlimited_budget_fools"] = 0.5
    combined = {"bounds_kept": 0.5, "unlimited_budget_fools": 0.5, "sizes_confirmed": 0.0}
    assert checks.worse(first, second) == checks.worse(second, first) == combined


def test_attacks_beside_each_other(compute: ComputeParams) -> None:
    strong, weak = attack_store(COSTS), attack_store(WEAK)
    single = checks.of_attacks(attacked(compute, fgsm=strong, bim=weak))
    assert rules.judge(single)["iterative_not_weaker"] == 0
    black = checks.of_attacks(attacked(compute, boundary=strong, bim=weak))
    assert rules.judge(black)["black_box_not_stronger"] == 0
    assert black["unlimited_budget_fools"] == pytest.approx(5 / 6)
    assert rules.judge(black)["unlimited_budget_fools"] == 0
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
    figure = diagnostics.of_steps(Victim(Recoiling(images), compute), inputs, EPS)
    assert figure == {"iterative_not_weaker": 1.0}
    assert rules.judge(figure)["iterative_not_weaker"] == 0


def test_a_black_box_that_fools_other_clips_is_stronger_on_them(compute: ComputeParams) -> None:
    """Even if it fools no more of them."""
    first, last = attack_store([0.01] * 3 + [np.inf] * 3), attack_store([np.inf] * 3 + [0.01] * 3)
    figures = checks.of_attacks(attacked(compute, boundary=first, bim=last))
    assert figures["black_box_not_stronger"] == pytest.approx(0.5)


def test_transfer_beside_adaptive() -> None:
    found = {"bim": attack_store(WEAK)}
    norms: dict[str, Norm] = {"bim": "linf", "cw": "l2"}
    assert checks.transfer_lead(found, {"bim": {"fooling_rate": 1.0}}, norms, 0.02) == pytest.approx(1 / 6)
    assert checks.transfer_lead(found, {"bim": {"fooling_rate": 0.5}}, norms, 0.02) < 0


def test_transfer_is_compared_in_its_own_norm() -> None:
    """What is cheap in another norm is no excuse."""
    store = attack_store(COSTS)
    found = {"jsma": replace(store, sizes={**store.sizes, "linf": np.full(6, 0.9, np.float32)})}
    assert checks.transfer_lead(found, {"bim": {"fooling_rate": 0.4}}, {"bim": "linf"}, 0.02) == pytest.approx(0.4)


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
        **diagnostics.of_budgets(victim, inputs, 0.02),
        **diagnostics.of_effort(victim, inputs, np.full(30, np.inf), 0.02, STEPS),
    }
    return rules.judge(figures), inputs


def test_a_model_that_hides_nothing_passes(compute: ComputeParams, rng: np.random.Generator) -> None:
    assert set(probed(Bands(), compute, rng)[0].values()) == {1}


@pytest.mark.parametrize("model", [Quantised(), Saturated()])
def test_a_model_that_masks_its_gradients_is_caught(
    model: nn.Module, compute: ComputeParams, rng: np.random.Generator
) -> None:
    judged = probed(model, compute, rng)[0]
    assert (judged["gradients_alive"], judged["unlimited_budget_fools"], judged["passed"]) == (0, 0, 0)


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
    missed = diagnostics.of_effort(victim, inputs, np.full(30, np.inf), 0.4, STEPS)
    assert missed["effort_converged"] == pytest.approx(diagnostics.NEAREST / 30)
    assert rules.judge(missed)["effort_converged"] == 0
    assert diagnostics.of_effort(victim, inputs, np.full(30, 0.3), 0.4, STEPS)["effort_converged"] == 0


def test_weak_attacks_are_caught_on_large_test_folds_too(compute: ComputeParams, rng: np.random.Generator) -> None:
    victim = Victim(Bands(), compute)
    inputs = attack_inputs(victim, feature_store(rng, clips=300), np.arange(300), seed=0).eligible_only()
    missed = diagnostics.of_effort(victim, inputs, np.full(300, np.inf), 0.4, STEPS)
    assert rules.judge(missed)["effort_converged"] == 0


def test_clips_moved_into_any_wrong_class(compute: ComputeParams, rng: np.random.Generator) -> None:
    """Bands of blobs lie 0.5 apart: a change of 0.1 closes no such gap, one of 0.4 does."""
    victim = Victim(Bands(), compute)
    inputs = attack_inputs(victim, feature_store(rng), np.arange(30), seed=0).eligible_only()
    assert not diagnostics.moved(victim, inputs, 0.1).any()
    assert diagnostics.moved(victim, inputs, 0.4).all()
    assert not len(diagnostics.moved(victim, inputs[torch.arange(0)], 0.4))


def test_the_largest_fall_is_measured_from_the_best_so_far() -> None:
    assert diagnostics.largest_fall([0.2, 0.8, 0.9]) == 0
    assert diagnostics.largest_fall([0.2, 0.8, 0.5, 0.6]) == pytest.approx(0.3)
