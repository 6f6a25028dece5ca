"""Figures of the checks on an evaluation that its stores tell; those of the model are in `diagnostics`."""

from collections.abc import Mapping

import numpy as np

from stages.core.arrays import Array, Flags, Floats, Strings
from stages.evaluation.attacked import Attacked, Stores, worst
from stages.evaluation.rules import RULES
from stages.stores.adversarial import Adversarial
from stages.stores.perturbations import NORMS, Norm


def of_stores(attacked: Attacked) -> dict[str, float]:
    """Compute the figures of the checks on the stores of one domain, of which there is at least one."""
    stores = attacked.stores.values()
    return {
        "bounds_kept": max(_excess(attacked.domain.restored(store.adversarial).numpy()) for store in stores),
        "eligible_confirmed": int(np.any([store.eligible != attacked.correct for store in stores], axis=0).sum()),
        "success_confirmed": min(_confirmed(attacked, store) for store in stores),
        "sizes_confirmed": max(_mismeasured(attacked, store) for store in stores),
    }


def of_attacks(attacked: Attacked) -> dict[str, float]:
    """Compare the attacks of one domain with each other: compute the figures that there are attacks for."""
    single_step = [name for name, kind in attacked.kinds.items() if kind.iterations == 1]
    white, black = attacked.seeing("white_box"), attacked.seeing("black_box")
    steps = {name: store for name, store in white.items() if name in set(single_step)}
    iterative = {name: store for name, store in white.items() if name not in steps}
    figures = {}
    if steps and iterative:
        figures["iterative_not_weaker"] = _alone(steps, iterative, attacked.budgets)
    if black and white:
        figures["black_box_not_stronger"] = _alone(black, white, attacked.budgets)
    return figures


def worse(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Combine the figures of two domains: of a check that both have, the one that is further from its limit."""
    both = first.keys() & second.keys()
    low = {name for name in both if np.isfinite(RULES[name].least)}
    return {**first, **second} | {name: (min if name in low else max)(first[name], second[name]) for name in both}


def transfer_lead(
    found: Stores,
    transferred: Mapping[str, Mapping[str, float]],
    norms: Mapping[str, Norm],
    budgets: Mapping[Norm, float],
) -> float:
    """Compute the largest lead, in fooling rate, of replayed examples over all attacks on the model in the same norm.

    Args:
        found: adversarial stores of one victim, by attack.
        transferred: metrics of the examples replayed on the victim, by attack.
        norms: norms of the attacks that were replayed.
        budgets: budgets of the attacks and of the replays, by norm.
    """
    return max(
        metrics["fooling_rate"] - float(_fooled(found, norms[name], budgets[norms[name]]).mean())
        for name, metrics in transferred.items()
    )


def of_departures(own: Floats, targeted: Floats, white: Floats, budget: float) -> dict[str, float]:
    """Compare what untargeted and targeted attacks in one domain found.

    A target may be out of reach at any size, above all where attacks leave rows alone; that any class is, is a sign.

    Args:
        own: smallest size with which an untargeted attack moves each eligible clip, shape (N,), N > 0; infinite where
            it moves none.
        targeted: the same of targeted attacks.
        white: the same of white boxes among these: a black box that begins in the target class reaches it anyway.
        budget: the budget, in the norm of the sizes.
    """
    return {
        "untargeted_not_weaker": float(((targeted <= budget) & (own > budget)).mean()),
        "unlimited_budget_moves": float(np.isfinite(np.minimum(own, white)).mean()),
    }


def leaked(test: Strings, others: Strings) -> int:
    """Count the test clips whose recording is among the others, by group."""
    return int(np.isin(test, others).sum())


def eligible(found: Stores) -> Flags:
    """Find the clips that were attacked, shape (N,), bool: the same in every store of a victim."""
    return next(iter(found.values())).eligible


def _alone(challengers: Stores, champions: Stores, budgets: Mapping[Norm, float]) -> float:
    """Compute the largest share of clips that challengers alone fool, over the norms, within the budget or at all."""
    if not eligible(champions).any():
        return 0.0
    cases = [(norm, limit) for norm, budget in budgets.items() for limit in (budget, np.inf)]
    return max(float((_fooled(challengers, *case) & ~_fooled(champions, *case)).mean()) for case in cases)


def _fooled(found: Stores, norm: Norm, budget: float) -> Flags:
    """Tell which of the eligible clips some attack fools within the budget."""
    mask = eligible(found)
    sizes = worst(found, norm, len(mask))[mask]
    return np.isfinite(sizes) & (sizes <= budget)


def _excess(examples: Array) -> float:
    return max(float(-examples.min()), float(examples.max()) - 1, 0.0) + 0.0


def _confirmed(attacked: Attacked, store: Adversarial) -> float:
    agreeing = attacked.predicted(store, store.success) == store.target[store.success]
    return float(agreeing.mean()) if len(agreeing) else 1.0


def _mismeasured(attacked: Attacked, store: Adversarial) -> float:
    measured = {norm: attacked.domain.size(store.clean, store.adversarial, norm) for norm in NORMS[store.domain]}
    # Ratios to a masking threshold may be large, and are as exact as float32.
    return max(
        float((np.abs(sizes - store.sizes[norm]) / np.maximum(store.sizes[norm], 1)).max())
        for norm, sizes in measured.items()
    )
