"""The checks on an evaluation: signs that its numbers do not mean what they seem to (Carlini et al. 2019).

A check is a figure and a limit. `checks` measures the figures of stores, `diagnostics` those of the model,
`harder_attacks` those that ask for other attacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["strength", "integrity"]
"""What a check is of: whether attacks were strong enough, or whether files say what they hold."""


@dataclass(frozen=True)
class Rule:
    """The rule of a check: a claim, and the limits that its figure must keep."""

    claim: str
    figure: str
    """Description of the figure that is measured."""
    least: float = -np.inf
    most: float = np.inf
    kind: Kind = "strength"
    models: tuple[str, ...] = ("baseline", "hardened")
    """Models that the check applies to."""

    def holds(self, figure: float) -> bool:
        """Tell whether the figure keeps the limits."""
        return self.least <= figure <= self.most

    @property
    def limit(self) -> str:
        """The limit in words."""
        return f"at most {self.most:g}" if np.isfinite(self.most) else f"at least {self.least:g}"


RULES = {
    "locally_optimal": Rule(
        "Fresh attacks of twice the steps are no cheaper, on images",
        "largest share of 10 images on which fresh fmn (L-infinity) or ddn (L2) is cheaper by more than 5 %",
        most=0.1,
    ),
    "sound_locally_optimal": Rule(
        "Fresh attacks of twice the steps are no quieter, on sounds",
        "share of 10 sounds or more, those nearest beyond the budget, on which fresh sound_ddn is quieter by over 1 dB",
        most=0.1,
    ),
    "effort_converged": Rule(
        "More steps and restarts change little",
        "images or sounds more within the budget, as a share of all, at twice the steps and from a random start",
        most=0.05,
    ),
    "untargeted_not_weaker": Rule(
        "Untargeted attacks are no weaker than targeted ones",
        "largest share of images or sounds that targeted attacks alone move out of their class within the budget",
        most=0.02,
    ),
    "iterative_not_weaker": Rule(
        "Iterative attacks are at least as strong as single steps",
        "largest share of clips that single steps alone fool",
        most=0.02,
    ),
    "black_box_not_stronger": Rule(
        "Black boxes are no stronger than white boxes",
        "largest share of clips that black boxes alone fool: those of the grid, or a random search of 300 queries "
        "within the budget, towards the target or away from the class, on 12 images that white boxes left",
        most=0.02,
    ),
    "transfer_not_stronger": Rule(
        "Examples made for the baseline are no stronger than the model's own",
        "largest share of clips that only those fool or move: fresh ones with momentum that take the whole budget, at "
        "each budget of the curve, or the stored ones",
        most=0.02,
        models=("hardened",),
    ),
    "success_grows_with_budget": Rule(
        "Success hardly ever falls with the budget",
        "largest fall of the fooling rate between growing budgets",
        most=0.05,
    ),
    "unlimited_budget_moves": Rule(
        "An unlimited budget moves nearly all",
        "share of images or sounds that untargeted attacks or white boxes move out of their class at any size",
        least=0.95,
    ),
    "large_budget_leaves_nothing": Rule(
        "Half the range leaves no more right than chance",
        "accuracy after an untargeted descent within 0.5, as a multiple of chance",
        most=1.0,
    ),
    "gradients_alive": Rule(
        "Gradients are finite and not zero",
        "share of clips whose gradient is so in a tenth of the bins or samples",
        least=1.0,
    ),
    "gradients_match": Rule(
        "Gradients are those of the model",
        "median difference of slopes by gradients and by finite differences, as a share of the larger",
        most=0.2,
    ),
    "low_precision_harmless": Rule(
        "Low precision hides nothing",
        "share of 8 images on which ddn in float32 is cheaper by more than 5 % than in the precision of attacks",
        most=0.25,
    ),
    "logits_not_saturated": Rule(
        "Logits are not saturated", "share of clips whose probability rounds to 1 in float32", most=0.1
    ),
    "forward_deterministic": Rule(
        "The same input gives the same logits", "largest difference of two passes", most=1e-5
    ),
    "nothing_tuned_on_test_clips": Rule(
        "Nothing is learned or tuned on test clips",
        "test clips that share a recording with training or validation",
        most=0,
        kind="integrity",
    ),
    "eligible_confirmed": Rule(
        "Every attack was made on exactly the clips that the model gets right",
        "clips of some attack that are not so",
        most=0,
        kind="integrity",
    ),
    "bounds_kept": Rule("Examples keep the bounds", "largest excess beyond 0 to 1", most=1e-6, kind="integrity"),
    "success_confirmed": Rule(
        "Every success is one by the model's own verdict", "share of successes confirmed", least=1.0, kind="integrity"
    ),
    "sizes_confirmed": Rule(
        "Sizes are those of the stored examples", "largest difference, measured again", most=1e-6, kind="integrity"
    ),
}
"""Every check by its name, in the order of the report."""


def judge(figures: Mapping[str, float], model: str) -> dict[str, int]:
    """Judge each check that has a figure: 1 where it holds; `passed` is 1 where all that apply are measured and hold.

    Args:
        figures: figures by the name of their check; what could not be measured is left out.
        model: `baseline` or `hardened`.
    """
    found = {name: int(rule.holds(figures[name])) for name, rule in RULES.items() if name in figures}
    return found | {"passed": int(all(found.get(name, 0) for name in applying(model)))}


def applying(model: str) -> list[str]:
    """List the checks that apply to the `baseline` or `hardened` model."""
    return [name for name, rule in RULES.items() if model in rule.models]
