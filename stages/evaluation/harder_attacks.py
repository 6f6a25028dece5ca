"""Figures of checks that attack again, harder or otherwise: what they find shows what the attacks told of missed."""

from collections.abc import Callable, Iterable, Mapping
from math import ceil

import numpy as np
import torch
from torch import Tensor

from stages.attacks.base.goals import ByMargin, Goal
from stages.attacks.base.inputs import AttackInputs, evenly_spaced
from stages.attacks.base.linf import (
    NEVER,
    LinfDescent,
    Start,
    away_from_labels,
    from_clip,
    from_noise,
    towards_targets,
    verdicts,
)
from stages.attacks.base.random_search import SquareSearch
from stages.attacks.base.sound import faintly_noisy
from stages.attacks.ddn import DDN
from stages.attacks.fmn import FMN
from stages.attacks.sound_ddn import SoundDDN
from stages.core.arrays import Flags, Floats, Integers
from stages.models.victim import Victim
from stages.stores.perturbations import Norm, ratio

STEPS = 20
"""Number of steps at growing budgets, and the fewest near the budget reported."""
FINE_REL_STEPSIZE = 0.05
"""Size of a step at growing budgets, as a share of the budget: larger steps jump across the whole range."""
LENGTH = 3.0
"""Length of all steps together near the budget reported, as a multiple of the budget."""
NEAREST, NEAREST_SHARE = 10, 0.1
"""Clips attacked again: those that lie closest beyond the budget, this many or this share of all, the larger of both.
A fixed number would be too small a share of a large test fold for the check ever to fail."""
FRESH_CLIPS = 10
"""Number of images that are attacked afresh, evenly spaced."""
FEWEST_STEPS = 100
"""Fewest steps of a fresh attack."""
CHEAPER = 1 / 1.05
"""Size, as a share of that stored, below which a fresh example of an image undercuts it."""
QUIETER = ratio(1.0)
"""The same of a sound: 1 dB."""
QUERIES, SEARCHED_CLIPS = 300, 12
"""Number of queries of the search without gradients, and of the clips that it is tried on."""
GROWTH = (1.0, 2.0, 4.0, 8.0)
"""Budgets tried, as multiples of the one reported."""
LARGE = 0.5
"""Budget in L-infinity with which each bin can be moved to the middle of its range."""

GoalOf = Callable[[AttackInputs], Goal]
"""What is aimed at of a batch of clips."""


def of_steps(victim: Victim, inputs: AttackInputs, eps: float) -> dict[str, float]:
    """Compute the share of clips that one step fools within the budget and many steps, from the clip, do not.

    The stores cannot tell this share: an iterative attack begins with the example of one step.
    """
    one, many = (
        _fooled(victim, inputs, eps, _descent(steps, length / steps)) for steps, length in ((1, 1.0), (STEPS, LENGTH))
    )
    return {"iterative_not_weaker": float((one & ~many).float().mean())}


def of_effort(victim: Victim, inputs: AttackInputs, sizes: Floats, eps: float, steps: int) -> dict[str, float]:
    """Compute the share of clips that twice the steps, from the clip or from a random start, newly fool in the budget.

    Args:
        victim: the model that is to be fooled.
        inputs: all clips that are eligible.
        sizes: smallest size known in L-infinity for each clip, infinite where there is none.
        eps: the budget, in L-infinity.
        steps: most steps that the attacks took at one budget; twice as many are made, and at least `STEPS`.
    """
    steps, nearest = max(2 * steps, STEPS), _nearest(sizes, eps)
    if not len(nearest):
        return {"effort_converged": 0.0}
    chosen, descent = inputs[torch.from_numpy(nearest)], _descent(steps, LENGTH / steps)
    fooled = _fooled(victim, chosen, eps, descent) | _fooled(victim, chosen, eps, descent, from_noise)
    return {"effort_converged": int(fooled.sum()) / len(inputs)}


def of_fresh_images(
    victim: Victim, inputs: AttackInputs, sizes: Mapping[Norm, Floats], steps: Mapping[Norm, int]
) -> dict[str, float]:
    """Compute the share of images that a fresh attack of twice the steps undercuts, in L-infinity and in L2.

    Args:
        victim: the model that is to be fooled.
        inputs: all clips that are eligible.
        sizes: smallest size known by norm, for each clip, infinite where there is none.
        steps: most steps that the stored attacks took along one path, by norm; at least `FEWEST_STEPS` are made.
    """
    rows = evenly_spaced(len(inputs), FRESH_CLIPS)
    fresh = [kind.of_steps(max(2 * steps[kind.norm], FEWEST_STEPS)) for kind in (FMN, DDN)]
    shares = [_undercut(each.costs(victim, inputs[rows]), sizes[each.norm][rows], CHEAPER) for each in fresh]
    return {"locally_optimal": max(shares)}


class FromNoise(SoundDDN):
    """`sound_ddn` from faint noise."""

    def start(self, inputs: AttackInputs) -> Tensor:
        """Begin at the clips with faint noise."""
        return faintly_noisy(inputs)


def of_fresh_sounds(victim: Victim, inputs: AttackInputs, sizes: Floats, budget: float, steps: int) -> dict[str, float]:
    """Compute what twice the steps, from faint noise, find of sounds: newly fooled, and cheaper by 1 dB.

    The sounds are those that lie closest beyond the budget, or where there are none as many others.

    Args:
        victim: the model that is to be fooled.
        inputs: all clips that are eligible.
        sizes: smallest amplitude ratio known for each clip, infinite where there is none.
        budget: the budget, an amplitude ratio.
        steps: number of steps that the attacks took.
    """
    nearest = _nearest(sizes, budget)
    rows = torch.from_numpy(nearest) if len(nearest) else evenly_spaced(len(inputs), NEAREST)
    cost = FromNoise.of_steps(2 * steps).costs(victim, inputs[rows])
    return {
        "effort_converged": int((cost.numpy()[: len(nearest)] <= budget).sum()) / len(inputs),
        "sound_locally_optimal": _undercut(cost, sizes[rows], QUIETER),
    }


def _undercut(costs: Tensor, known: Floats, share: float) -> float:
    """Compute the share of clips whose cost is below a share of the size known."""
    return float((costs.numpy() < share * known).mean())


def _nearest(sizes: Floats, budget: float) -> Integers:
    """Choose the clips that lie closest beyond a budget, by their positions."""
    beyond = np.flatnonzero(sizes > budget)
    most = max(NEAREST, ceil(NEAREST_SHARE * len(sizes)))
    nearest: Integers = beyond[np.argsort(sizes[beyond], kind="stable")[:most]]
    return nearest


def of_budgets(victim: Victim, inputs: AttackInputs, eps: float) -> dict[str, float]:
    """Measure the largest fall of the fooling rate between growing budgets, and the accuracy left at a large one."""
    descent = _descent(STEPS, FINE_REL_STEPSIZE)
    found = [float(_fooled(victim, inputs, min(eps * factor, 1.0), descent).float().mean()) for factor in GROWTH]
    left = verdicts(_descent(2 * STEPS, FINE_REL_STEPSIZE), victim, inputs, LARGE, goal=away_from_labels)
    classes = victim.logits(inputs.clean[:1]).shape[1]
    return {
        "success_grows_with_budget": largest_fall(found),
        "large_budget_leaves_nothing": float((left == inputs.labels).float().mean()) * classes,
    }


def of_random_search(victim: Victim, inputs: AttackInputs, fooled: Flags, moved: Flags, eps: float) -> dict[str, float]:
    """Compute the share of clips that a search without gradients alone fools, or moves, within the budget.

    Args:
        victim: the model.
        inputs: all clips that are eligible.
        fooled: which of them reach their target within the budget by white boxes.
        moved: which of them leave their class within it.
        eps: the budget, in L-infinity.
    """
    targeted = _searched(victim, inputs, ~fooled, eps, towards_targets)
    untargeted = _searched(victim, inputs, ~moved, eps, away_from_labels)
    return {"black_box_not_stronger": max(targeted, untargeted)}


def _searched(victim: Victim, inputs: AttackInputs, left: Flags, eps: float, goal: GoalOf) -> float:
    """Search at random on some of the clips that are left; the share of these that reach the goal."""
    chosen = inputs[torch.from_numpy(np.flatnonzero(left))].subsample(SEARCHED_CLIPS)
    found = 0
    for rows in torch.arange(len(chosen)).split(victim.compute.batch_size) if len(chosen) else ():
        batch = chosen[rows].to(victim.device)
        limits = batch.domain.radius(batch.clean, torch.full((len(rows),), eps), "linf")
        search = SquareSearch(QUERIES, first_share=0.8)
        examples = search.run(victim.as_foolbox(), batch, ByMargin(goal(batch)), limits).examples
        found += int((goal(batch).margin(victim.logits(examples), torch.arange(len(rows))) > 0).sum())
    return found / max(len(chosen), 1)


def of_transfer(
    victim: Victim, surrogate: Victim, inputs: AttackInputs, sizes: Mapping[float, tuple[Flags, Flags]]
) -> dict[str, float]:
    """Compute the share of clips that only examples made for another model fool, or move, at some budget.

    The examples take the whole budget, by steps with momentum (Dong et al. 2018): those on a boundary hardly transfer.

    Args:
        victim: the model.
        surrogate: the other model.
        inputs: all clips that are eligible.
        sizes: by budget, in L-infinity, which clips attacks on the model itself fool, and which they move.
    """
    descent, shares = LinfDescent(steps=STEPS, rel_stepsize=0.1, momentum=1.0, stop_margin=NEVER), [0.0]
    for budget, (fooled, moved) in sizes.items():
        towards = verdicts(descent, victim, inputs, budget, surrogate=surrogate) == inputs.targets
        away = verdicts(descent, victim, inputs, budget, goal=away_from_labels, surrogate=surrogate) != inputs.labels
        shares += [float((towards.numpy() & ~fooled).mean()), float((away.numpy() & ~moved).mean())]
    return {"transfer_not_stronger": max(shares)}


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
