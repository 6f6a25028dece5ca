"""What hardening changed: the models compared clip by clip, over the clips that both get right."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from stages.core.arrays import Floats, Strings
from stages.core.grid import MODELS
from stages.evaluation import intervals, rates
from stages.evaluation.results import Metrics
from stages.reporting import tables
from stages.stores.perturbations import decibels

ByModel = Mapping[str, pd.DataFrame]
"""Tables of one fold by model: a row for each clip that the model gets right, a column for each attack."""

GAINS = {"snr_gain": "worst_snr", "snr_gain_untargeted": "untargeted"}
"""Ratios of costs of sounds that are told in dB, and the columns that they are of."""


def compare(costs: Sequence[ByModel], snrs: Sequence[ByModel], budgets: Mapping[str, float]) -> Metrics:
    """Compare the attacks on both models over the clips of all folds that both models get right.

    Args:
        costs: costs of images, one mapping per fold; empty where an attack fails.
        snrs: signal-to-noise ratios with which sounds are fooled, in dB, likewise.
        budgets: the budget of each attack, in the norm of its costs; of sounds an amplitude ratio.

    Returns:
        by attack `fooling_drop`, `cost_ratio` with its interval and `eps90_ratio`; the number of images as `clips`; in
        `sound` the number of sounds, and the gains, in dB.
    """
    images = _pairs(costs)
    sounds = _pairs([{model: _amplitudes(table) for model, table in each.items()} for each in snrs])
    gains = {"clips": len(sounds[0]), **_gains(*sounds)}
    return {
        "clips": len(images[0]),
        "sound": gains,
        **_of_attacks(*images, budgets),
        **_of_attacks(*sounds, budgets),
    }


def accuracy_drop(baseline: Sequence[Metrics], hardened: Sequence[Metrics]) -> Metrics:
    """Compute the accuracy that hardening cost: the mean over the folds, with its interval if they differ.

    Args:
        baseline: metrics of the baseline, one per fold.
        hardened: metrics of the hardened model, in the same order.
    """
    pairs = zip(baseline, hardened, strict=True)
    drops = [before["clean"]["accuracy"] - after["clean"]["accuracy"] for before, after in pairs]
    found = {"accuracy_drop": sum(drops) / len(drops)}
    if len(set(drops)) > 1:
        low, high = intervals.over_folds(drops)
        found |= {"accuracy_drop_low": low, "accuracy_drop_high": high}
    return found


def cost_ratio(before: Floats, after: Floats, groups: Strings) -> Metrics:
    """Find the median over the clips of the cost after over the cost before, with its interval.

    A clip that neither model can be fooled on tells nothing and is left out. One that the baseline alone withstands has
    the ratio 0, one that the hardened model alone withstands an infinite one; neither is told as a median or an end.

    Args:
        before: costs of the baseline, shape (N,); infinite where the attack fails.
        after: costs of the hardened model for the same clips.
        groups: recordings of the clips, shape (N,).

    Example:
        >>> costs = np.array([0.1, 0.2, np.inf])
        >>> cost_ratio(costs, np.array([0.2, 0.8, np.inf]), np.array(["a", "b", "c"]))
        {'cost_ratio': 2.0}
    """
    told = np.isfinite(before) | np.isfinite(after)
    if not told.any():
        return {}
    with np.errstate(divide="ignore"):
        logs = np.log2(after[told] / before[told])
    found = rates.quantile_metrics("cost_ratio", logs, 0.5, groups[told])
    return {name: 2**value for name, value in found.items()}


def _amplitudes(snrs: pd.DataFrame) -> pd.DataFrame:
    """Tell signal-to-noise ratios as ratios of amplitudes, which grow with the cost."""
    return snrs.assign(**{name: np.power(10.0, snrs[name] / -20) for name in _attacks(snrs)})


def _attacks(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name not in tables.NAMES]


def _pairs(folds: Sequence[ByModel]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pick the clips of all folds that both models get right, in one order; a cost is infinite where there is none."""
    before, after = (
        pd.concat([tables_of[model].set_index("clip") for tables_of in folds], keys=range(len(folds))).fillna(np.inf)
        for model in MODELS
    )
    both = before.index.intersection(after.index)
    return before.loc[both], after.loc[both]


def _of_attacks(before: pd.DataFrame, after: pd.DataFrame, budgets: Mapping[str, float]) -> Metrics:
    groups = before["group"].to_numpy(np.str_)
    return {
        name: _of_attack(before[name].to_numpy(np.float64), after[name].to_numpy(np.float64), groups, budgets[name])
        for name in _attacks(before)
        if name in budgets
    }


def _of_attack(before: Floats, after: Floats, groups: Strings, budget: float) -> Metrics:
    if not len(before):
        return {}
    drop = float((before <= budget).mean() - (after <= budget).mean())
    found = {"fooling_drop": drop, **cost_ratio(before, after, groups)}
    first, second = (rates.quantile(costs, rates.COST_QUANTILES["eps90"]) for costs in (before, after))
    return found | ({"eps90_ratio": second / first} if np.isfinite([first, second]).all() else {})


def _gains(before: pd.DataFrame, after: pd.DataFrame) -> Metrics:
    """Tell by how many dB louder attacks on the sound must be after hardening, for the median clip."""
    found: Metrics = {}
    groups = before["group"].to_numpy(np.str_)
    for gain, column in GAINS.items():
        if column in before:
            ratios = cost_ratio(before[column].to_numpy(np.float64), after[column].to_numpy(np.float64), groups)
            found |= {name.replace("cost_ratio", gain): float(-decibels(value)) for name, value in ratios.items()}
    return found
