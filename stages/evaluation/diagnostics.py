"""Figures of checks that need the model itself: its gradients, its logits, a harder attack on a few clips."""

from collections.abc import Iterable
from math import ceil

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stages.attacks.base import SearchParams
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.linf import NEVER, LinfDescent, Start, away_from_labels, from_clip, from_noise, verdicts
from stages.attacks.base.sound import faintly_noisy
from stages.attacks.sound_ddn import SoundDDN
from stages.core.arrays import Flags, Floats, Integers
from stages.models.victim import Victim

STEPS = 20
"""Number of steps at growing budgets, and the fewest near the budget reported."""
FINE_REL_STEPSIZE = 0.05
"""Size of a step at growing budgets, as a share of the budget: larger steps jump across the whole range."""
LENGTH = 3.0
"""Length of all steps together near the budget reported, as a multiple of the budget."""
NEAREST, NEAREST_SHARE = 8, 0.1
"""Clips attacked again: those that lie closest beyond the budget, this many or this share of all, the larger of both.
A fixed number would be too small a share of a large test fold for the check ever to fail."""
SUBSAMPLE = 8
"""Number of clips that growing budgets are tried on."""
GROWTH = (1.0, 2.0, 4.0, 8.0, np.inf)
"""Budgets tried, as multiples of the one reported."""
LIVE_SHARE = 0.1
"""Share of the bins that must have a gradient."""


def of_model(victim: Victim, images: Tensor) -> dict[str, float]:
    """Measure the logits of test clips, shape (N, 1, height, width)."""
    logits, again = victim.logits(images), victim.logits(images)
    return {
        "forward_deterministic": float((logits - again).abs().max()),
        "logits_not_saturated": saturated(logits),
    }


def saturated(logits: Tensor) -> float:
    """Compute the share of clips whose largest probability is 1 in float32; 1 if the logits are probabilities."""
    if bool((logits >= 0).all()) and torch.allclose(logits.sum(1), torch.ones_like(logits[:, 0]), atol=1e-4):
        return 1.0
    return float((logits.float().softmax(1).amax(1) == 1).float().mean())


def of_gradients(victim: Victim, inputs: AttackInputs) -> dict[str, float]:
    """Compute the share of clips whose gradient is finite, and not zero in enough bins, or samples."""
    chosen = inputs.subsample(SUBSAMPLE).to(victim.device)
    leaf = chosen.clean.requires_grad_()
    loss = functional.cross_entropy(victim.model(leaf), chosen.targets, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, leaf)
    flat = gradient.flatten(1)
    alive = flat.isfinite().all(1) & ((flat != 0).float().mean(1) >= LIVE_SHARE)
    return {"gradients_alive": float(alive.float().mean())}


def of_steps(victim: Victim, inputs: AttackInputs, eps: float) -> dict[str, float]:
    """Compute the share of clips that one step fools within the budget and many steps, from the clip, do not.

    The stores cannot tell this share: an iterative attack begins with the example of one step.
    """
    one, many = (
        _fooled(victim, inputs, eps, _descent(steps, length / steps)) for steps, length in ((1, 1.0), (STEPS, LENGTH))
    )
    return {"iterative_not_weaker": float((one & ~many).float().mean())}


def of_effort(victim: Victim, inputs: AttackInputs, sizes: Floats, eps: float, steps: int) -> dict[str, float]:
    """Compute the share of clips that more steps, from the clip or from a random start, newly fool within the budget.

    Args:
        victim: the model that is to be fooled.
        inputs: all clips that are eligible.
        sizes: smallest size known in L-infinity for each clip, infinite where there is none.
        eps: the budget, in L-infinity.
        steps: number of steps, more than the attacks took; `STEPS` if it is less.
    """
    steps, nearest = max(steps, STEPS), _nearest(sizes, eps)
    if not len(nearest):
        return {"effort_converged": 0.0}
    chosen, descent = inputs[torch.from_numpy(nearest)], _descent(steps, LENGTH / steps)
    fooled = _fooled(victim, chosen, eps, descent) | _fooled(victim, chosen, eps, descent, from_noise)
    return {"effort_converged": int(fooled.sum()) / len(inputs)}


class FromNoise(SoundDDN):
    """`sound_ddn` from faint noise."""

    def start(self, inputs: AttackInputs) -> Tensor:
        """Begin at the clips with faint noise."""
        return faintly_noisy(inputs)


def of_sound_effort(victim: Victim, inputs: AttackInputs, sizes: Floats, budget: float, steps: int) -> dict[str, float]:
    """Compute the share of sounds that more steps, from the clip or from noise, newly fool within the budget.

    Args:
        victim: the model that is to be fooled.
        inputs: all clips that are eligible.
        sizes: smallest amplitude ratio known for each clip, infinite where there is none.
        budget: the budget, an amplitude ratio.
        steps: number of steps, more than the attacks took.
    """
    nearest = _nearest(sizes, budget)
    if not len(nearest):
        return {"effort_converged": 0.0}
    chosen = inputs[torch.from_numpy(nearest)]
    unused = SearchParams(start=1, smallest=1, factor=2, tolerance=1)
    costs = [kind.of_steps(steps).search(victim, chosen, unused).cost for kind in (SoundDDN, FromNoise)]
    return {"effort_converged": int((torch.stack(costs).amin(0) <= budget).sum()) / len(inputs)}


def _nearest(sizes: Floats, budget: float) -> Integers:
    """Choose the clips that lie closest beyond a budget, by their positions."""
    beyond = np.flatnonzero(sizes > budget)
    most = max(NEAREST, ceil(NEAREST_SHARE * len(sizes)))
    nearest: Integers = beyond[np.argsort(sizes[beyond], kind="stable")[:most]]
    return nearest


def of_budgets(victim: Victim, inputs: AttackInputs, eps: float) -> dict[str, float]:
    """Measure the largest fall of the fooling rate between growing budgets, and the rate at the whole range."""
    chosen, descent = inputs.subsample(SUBSAMPLE), _descent(STEPS, FINE_REL_STEPSIZE)
    budgets = [min(eps * factor, 1.0) for factor in GROWTH]
    found = [float(_fooled(victim, chosen, budget, descent).float().mean()) for budget in budgets]
    return {"success_grows_with_budget": largest_fall(found), "unlimited_budget_fools": found[-1]}


def moved(victim: Victim, inputs: AttackInputs, eps: float) -> Flags:
    """Tell which clips a descent away from their class, within the budget in L-infinity, moves into another one."""
    descent = _descent(STEPS, LENGTH / STEPS)
    fled: Flags = (verdicts(descent, victim, inputs, eps, goal=away_from_labels) != inputs.labels).numpy()
    return fled


def largest_fall(found: Iterable[float]) -> float:
    """Measure by how much a series falls, at most, below a value that it reached before."""
    values = np.array(list(found))
    return float((np.maximum.accumulate(values) - values).max())


def _descent(steps: int, rel_stepsize: float) -> LinfDescent:
    """Make a descent that takes all steps for all clips."""
    return LinfDescent(steps=steps, rel_stepsize=rel_stepsize, stop_margin=NEVER)


def _fooled(victim: Victim, inputs: AttackInputs, eps: float, descent: LinfDescent, start: Start = from_clip) -> Tensor:
    """Tell which clips reach their target, shape (N,), bool."""
    return verdicts(descent, victim, inputs, eps, start=start) == inputs.targets
