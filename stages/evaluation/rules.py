"""The checks on an evaluation: signs that its numbers do not mean what they seem to (Carlini et al. 2019).

A check is a figure and a limit. `checks` measures the figures of stores, `diagnostics` those of the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


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
        "images or sounds more within the budget, as a share of all, at twice the steps and from a random start",
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
        "Gradients are finite and not zero",
        "share of clips whose gradient is so in a tenth of the bins or samples",
        least=1.0,
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
