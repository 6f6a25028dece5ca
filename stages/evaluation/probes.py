"""Figures of checks that need the model itself: its gradients, its logits, a harder attack on a few clips."""

from collections.abc import Iterable
from math import ceil

import numpy as np
import numpy.typing as npt
import torch
from foolbox import Misclassification, PyTorchModel, TargetedMisclassification
from foolbox.attacks import LinfProjectedGradientDescentAttack
from torch import Tensor
from torch.nn import functional

from stages.attacks import Clips
from stages.prediction import Victim

STEPS = 20
"""At growing budgets, and the fewest near the budget reported."""
FINE_REL_STEPSIZE = 0.05
"""Of a step at growing budgets, as a share of them: larger ones jump across the whole range."""
LENGTH = 3.0
"""Of all steps together near the budget reported, as a multiple of it."""
RESTARTS = 2
NEAREST, NEAREST_SHARE = 8, 0.1
"""Clips sought again: those that lie closest beyond the budget, so many or that share of all. A fixed number of them
would be too small a share of a large test fold for the check ever to fail."""
SPREAD = 8
"""Clips that growing budgets are tried on."""
GROWTH = (1.0, 2.0, 4.0, 8.0, np.inf)
"""Budgets tried, as multiples of the one reported."""
LIVE_SHARE = 0.1
"""Of the bins that must have a gradient."""

Sizes = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]


def of_model(victim: Victim, images: Tensor) -> dict[str, float]:
    """Figures of the logits of test clips, shape (N, 1, height, width)."""
    logits, again = victim.logits(images), victim.logits(images)
    return {
        "forward_deterministic": float((logits - again).abs().max()),
        "logits_not_saturated": saturated(logits),
    }


def saturated(logits: Tensor) -> float:
    """Share of the clips whose largest probability is 1 in float32; all, if the logits are probabilities themselves."""
    if bool((logits >= 0).all()) and torch.allclose(logits.sum(1), torch.ones_like(logits[:, 0]), atol=1e-4):
        return 1.0
    return float((logits.float().softmax(1).amax(1) == 1).float().mean())


def of_gradients(victim: Victim, clips: Clips) -> dict[str, float]:
    """Share of the clips whose gradient is finite, and not zero in enough bins."""
    chosen = spread(clips, SPREAD)
    images = chosen.images.to(victim.device).requires_grad_()
    loss = functional.cross_entropy(victim.model(images), chosen.targets.to(victim.device), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, images)
    flat = gradient.flatten(1)
    alive = flat.isfinite().all(1) & ((flat != 0).float().mean(1) >= LIVE_SHARE)
    return {"gradients_alive": float(alive.float().mean())}


def of_steps(victim: Victim, clips: Clips, eps: float) -> dict[str, float]:
    """Share of the clips that one step fools within the budget and many steps, from the clip itself, do not.

    The stores cannot tell: an iterative attack begins with what one step found.
    """
    model = victim.exposed()
    one, many = (
        _fooled(victim, model, clips, eps, _descent(steps, length / steps, random_start=False))
        for steps, length in ((1, 1.0), (STEPS, LENGTH))
    )
    return {"iterative_not_weaker": float((one & ~many).float().mean())}


def of_effort(victim: Victim, clips: Clips, sizes: Sizes, eps: float, steps: int) -> dict[str, float]:
    """Share of the clips that more steps, from the clip and from a random start, fool within the budget anew.

    Args:
        victim: who is to be fooled.
        clips: all that are eligible.
        sizes: the smallest known in L-infinity for each of them, infinite where there is none.
        eps: the budget, in L-infinity.
        steps: number of steps, more than the attacks took; `STEPS` if it is less.
    """
    steps = max(steps, STEPS)
    beyond = np.flatnonzero(sizes > eps)
    most = max(NEAREST, ceil(NEAREST_SHARE * len(clips)))
    nearest = beyond[np.argsort(sizes[beyond], kind="stable")[:most]]
    if not len(nearest):
        return {"effort_converged": 0.0}
    chosen = clips[torch.from_numpy(nearest)]
    starts = [False] + [True] * (RESTARTS - 1)
    model = victim.exposed()
    attacks = [_descent(steps, LENGTH / steps, random_start=start) for start in starts]
    fooled = [_fooled(victim, model, chosen, eps, attack) for attack in attacks]
    return {"effort_converged": int(torch.stack(fooled).any(0).sum()) / len(clips)}


def of_budgets(victim: Victim, clips: Clips, eps: float) -> dict[str, float]:
    """Largest fall of the fooling rate between growing budgets, and the rate at the whole range."""
    chosen, model = spread(clips, SPREAD), victim.exposed()
    budgets = [min(eps * factor, 1.0) for factor in GROWTH]
    attack = _descent(STEPS, FINE_REL_STEPSIZE, random_start=False)
    found = [float(_fooled(victim, model, chosen, budget, attack).float().mean()) for budget in budgets]
    return {"success_grows_with_budget": _fall(found), "unlimited_budget_fools": found[-1]}


def moved(victim: Victim, clips: Clips, labels: Tensor, eps: float) -> Flags:
    """Which clips a descent away from their class, within the budget in L-infinity, moves into another one.

    Args:
        victim: who predicts them right.
        clips: N of them.
        labels: their classes, shape (N,).
        eps: the budget.
    """
    if not len(clips):
        return np.zeros(0, np.bool_)
    model, attack = victim.exposed(), _descent(STEPS, LENGTH / STEPS, random_start=False)
    pairs = zip(victim.batches(clips.images), victim.batches(labels), strict=True)
    examples = [attack.run(model, images, Misclassification(own), epsilon=eps) for images, own in pairs]
    fled: Flags = (victim.predict(torch.cat(examples)).cpu() != labels).numpy()
    return fled


def _fall(found: Iterable[float]) -> float:
    values = np.array(list(found))
    return float((np.maximum.accumulate(values) - values).max())


def spread(clips: Clips, most: int) -> Clips:
    """At most so many of the clips, evenly spaced."""
    return clips[torch.linspace(0, len(clips) - 1, min(most, len(clips))).long()]


def _descent(steps: int, rel_stepsize: float, *, random_start: bool) -> LinfProjectedGradientDescentAttack:
    return LinfProjectedGradientDescentAttack(steps=steps, rel_stepsize=rel_stepsize, random_start=random_start)


def _fooled(
    victim: Victim, model: PyTorchModel, clips: Clips, budget: float, attack: LinfProjectedGradientDescentAttack
) -> Tensor:
    pairs = zip(victim.batches(clips.images), victim.batches(clips.targets), strict=True)
    examples = [attack.run(model, images, TargetedMisclassification(aims), epsilon=budget) for images, aims in pairs]
    return victim.predict(torch.cat(examples)).cpu() == clips.targets
