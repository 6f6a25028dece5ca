"""Checks on an evaluation: signs that its numbers do not mean what they seem to (Carlini et al. 2019).

A check is a figure and a limit. The figures come from the stores here and from the model in `diagnostics`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from stages.core.arrays import Flags, Images, Integers, Strings
from stages.stores import perturbations
from stages.stores.adversarial import Adversarial

Stores = Mapping[str, Adversarial]

SIZES = {"worst_linf": "size_linf", "worst_l2": "size_l2"}
"""The worst cases, and the size that each of them is measured in."""


@dataclass(frozen=True)
class Rule:
    """The rule of a check: a claim, and the limits that its figure must keep."""

    claim: str
    figure: str
    """Description of the figure that is measured."""
    least: float = -np.inf
    most: float = np.inf

    def holds(self, figure: float) -> bool:
        """Tell whether the figure keeps the limits."""
        return self.least <= figure <= self.most

    @property
    def limit(self) -> str:
        """The limit in words."""
        return f"at most {self.most:g}" if np.isfinite(self.most) else f"at least {self.least:g}"


RULES = {
    "iterative_not_weaker": Rule(
        "Iterative attacks are at least as strong as single steps",
        "largest share of clips that single steps alone fool",
        most=0.02,
    ),
    "effort_converged": Rule(
        "More steps and restarts change little",
        "clips more within the budget, as a share of all, at twice the steps and from a random start",
        most=0.05,
    ),
    "success_grows_with_budget": Rule(
        "Success hardly ever falls with the budget",
        "largest fall of the fooling rate between growing budgets, on 8 clips",
        most=0.125,
    ),
    "unlimited_budget_fools": Rule(
        "An unlimited budget fools nearly all", "largest share fooled at any size by white boxes", least=0.9
    ),
    "gradients_alive": Rule(
        "Gradients are finite and not zero", "share of clips whose gradient is so in a tenth of the bins", least=1.0
    ),
    "logits_not_saturated": Rule(
        "Logits are not saturated", "share of clips whose probability rounds to 1 in float32", most=0.1
    ),
    "forward_deterministic": Rule(
        "The same input gives the same logits", "largest difference of two passes", most=1e-5
    ),
    "black_box_not_stronger": Rule(
        "Black boxes are no stronger than white boxes", "largest share of clips that black boxes alone fool", most=0.02
    ),
    "transfer_not_stronger": Rule(
        "Replayed examples are no stronger than the model's own",
        "largest lead of the replayed ones, in fooling rate, over all attacks on the model in the same norm",
        most=0.02,
    ),
    "eligible_confirmed": Rule(
        "Every attack was made on exactly the clips that the model gets right",
        "clips of some attack that are not so",
        most=0,
    ),
    "bounds_kept": Rule("Examples keep the bounds", "largest excess beyond 0 to 1", most=1e-6),
    "nothing_tuned_on_test_clips": Rule(
        "Nothing is learned or tuned on test clips",
        "test clips that share a recording with training or validation",
        most=0,
    ),
    "success_confirmed": Rule(
        "Every success is one by the model's own verdict", "share of successes confirmed", least=1.0
    ),
    "sizes_confirmed": Rule("Sizes are those of the stored examples", "largest difference, measured again", most=1e-6),
}
"""Every check by its name, in the order of the report."""


def judge(figures: Mapping[str, float]) -> dict[str, int]:
    """Judge each check that has a figure: 1 where it holds; `passed` is 1 where all hold."""
    found = {name: int(rule.holds(figures[name])) for name, rule in RULES.items() if name in figures}
    return found | {"passed": int(all(found.values()))}


def of_stores(found: Stores, verdicts: Mapping[str, Integers]) -> dict[str, float]:
    """Compute the figures of the checks on the stores.

    Args:
        found: adversarial stores of one victim, by attack.
        verdicts: the victim's own verdicts on the successful examples, by attack.
    """
    return {
        "bounds_kept": max(_excess(store.adversarial) for store in found.values()),
        "success_confirmed": min(_confirmed(store, verdicts[name]) for name, store in found.items()),
        "sizes_confirmed": max(_mismeasured(store) for store in found.values()),
    }


def of_attacks(found: Stores, single_step: Iterable[str], black_box: Iterable[str], eps: float) -> dict[str, float]:
    """Compare the attacks with each other: compute the figures that there are attacks for.

    Args:
        found: adversarial stores of one victim, by attack.
        single_step: names of the white-box attacks of one step.
        black_box: names of the attacks that see no gradient.
        eps: the budget.
    """
    white = {name: store for name, store in found.items() if name not in set(black_box)}
    steps = {name: store for name, store in white.items() if name in set(single_step)}
    iterative = {name: store for name, store in white.items() if name not in steps}
    black = {name: store for name, store in found.items() if name not in white}
    figures = {}
    if steps and iterative:
        figures["iterative_not_weaker"] = _alone(steps, iterative, eps)
    if black and white:
        figures["black_box_not_stronger"] = _alone(black, white, eps)
    if white and eligible(white).any():
        figures["unlimited_budget_fools"] = float(_fooled(white, "size_linf", np.inf).mean())
    return figures


def transfer_lead(
    found: Stores, transferred: Mapping[str, Mapping[str, float]], norms: Mapping[str, str], eps: float
) -> float:
    """Compute the largest lead, in fooling rate, of replayed examples over all attacks on the model in the same norm.

    Args:
        found: adversarial stores of one victim, by attack.
        transferred: metrics of the examples replayed on the victim, by attack.
        norms: norms of the attacks that were replayed.
        eps: the budget of the attacks and of the replays.
    """
    return max(
        metrics["fooling_rate"] - float(_fooled(found, f"size_{norms[name]}", eps).mean())
        for name, metrics in transferred.items()
    )


def ineligible(found: Stores, correct: Flags) -> int:
    """Count the clips that some attack was made on though the model gets them wrong, or left out though it does not.

    Args:
        found: adversarial stores of one victim, by attack.
        correct: clips that the victim classifies correctly, shape (N,).
    """
    return int(np.any([store.eligible != correct for store in found.values()], axis=0).sum())


def leaked(test: Strings, others: Strings) -> int:
    """Count the test clips whose recording is among the others, by group."""
    return int(np.isin(test, others).sum())


def eligible(found: Stores) -> Flags:
    """Find the clips that were attacked, shape (N,), bool: the same in every store of a victim."""
    return next(iter(found.values())).eligible


def worst(found: Stores, size: str) -> Images:
    """Find per clip the smallest size over the successful examples of every attack; infinite where there is none."""
    sizes = [np.where(store.success, getattr(store, size), np.inf) for store in found.values()]
    smallest: Images = np.min(sizes, axis=0).astype(np.float32)
    return smallest


def _alone(challengers: Stores, champions: Stores, eps: float) -> float:
    """Compute the largest share of clips that challengers alone fool, over the norms, within the budget or at all."""
    if not eligible(champions).any():
        return 0.0
    cases = [(size, budget) for size in SIZES.values() for budget in (eps, np.inf)]
    return max(float((_fooled(challengers, *case) & ~_fooled(champions, *case)).mean()) for case in cases)


def _fooled(found: Stores, size: str, budget: float) -> Flags:
    """Tell which of the eligible clips some attack fools within the budget."""
    sizes = worst(found, size)[eligible(found)]
    return np.isfinite(sizes) & (sizes <= budget)


def _excess(images: Images) -> float:
    return max(float(-images.min()), float(images.max()) - 1, 0.0) + 0.0


def _confirmed(store: Adversarial, verdict: Integers) -> float:
    agreeing = verdict == store.target[store.success]
    return float(agreeing.mean()) if len(agreeing) else 1.0


def _mismeasured(store: Adversarial) -> float:
    sizes = perturbations.sizes(store.clean, store.adversarial)
    pairs = [(sizes.linf, store.size_linf), (sizes.l2, store.size_l2), (sizes.l1, store.size_l1)]
    return max(float(np.abs(measured - stored).max()) for measured, stored in pairs)
