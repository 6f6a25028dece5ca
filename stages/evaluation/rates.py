"""Fooling rates, prices and their intervals, from the costs of an attack."""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
import pandas as pd
from scipy import special

from stages.core import seeding
from stages.core.arrays import Flags, Floats, Strings
from stages.stores.perturbations import decibels, ratio

Z_95 = 1.959963984540054
"""Quantile of the normal distribution for a two-sided interval of 95 %."""

RESAMPLES = 2000
"""Number of samples that a bootstrap draws."""

SNRS = {"snr_median": "cost_median", "snr90": "eps90"}
"""Costs of sounds that are also told in dB."""

COST_QUANTILES = {"cost_median": 0.5, "eps90": 0.9}
"""Costs reported, and the share of the clips that each of them fools."""


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Compute Wilson's 95 % interval of a rate of `hits` in `count` > 0 (Wilson 1927).

    Example:
        >>> low, high = wilson(8, 100)
        >>> print(f"{low:.3f} to {high:.3f}")
        0.041 to 0.150
    """
    rate, spread = hits / count, Z_95**2 / count
    centre = (rate + spread / 2) / (1 + spread)
    half = Z_95 * sqrt(rate * (1 - rate) / count + Z_95**2 / (4 * count**2)) / (1 + spread)
    # The ends are exact at no hit and at hits alone, where rounding would leave 1e-18.
    return max(centre - half, 0.0) if hits else 0.0, min(centre + half, 1.0) if hits < count else 1.0


def rate(name: str, hits: Flags) -> dict[str, float]:
    """Compute the share of hits, under the key `name`, with its interval; no key at all if there are no clips."""
    if not len(hits):
        return {}
    low, high = wilson(int(hits.sum()), len(hits))
    return {name: float(hits.mean()), f"{name}_low": low, f"{name}_high": high}


def quantile(costs: Floats, share: float) -> float:
    """Find the smallest cost that at least a share of the clips does not exceed; infinite costs are failures."""
    return float(np.quantile(costs, share, method="inverted_cdf"))


def bootstrap(costs: Floats, share: float, seed: int) -> tuple[float, float]:
    """Compute a 95 % interval of a quantile of the costs by the percentile bootstrap (Efron 1979).

    An end of the interval is infinite where costs are.

    Args:
        costs: costs of the clips, shape (N,), N > 0.
        share: share of the clips that the quantile stands for.
        seed: seed of the samples: they are the same for the same seed, share and N.
    """
    draws = seeding.generator(seed, "bootstrap", len(costs)).integers(0, len(costs), (RESAMPLES, len(costs)))
    resampled = np.quantile(costs[draws], share, axis=1, method="inverted_cdf")
    return quantile(resampled, 0.025), quantile(resampled, 0.975)


def cost_quantiles(costs: Floats, seed: int) -> dict[str, float]:
    """Compute median cost and eps90 with their intervals; a key is left out where its number is infinite."""
    found: dict[str, float] = {}
    for name, share in COST_QUANTILES.items():
        low, high = bootstrap(costs, share, seed)
        found |= {name: quantile(costs, share), f"{name}_low": low, f"{name}_high": high}
    return {name: cost for name, cost in found.items() if np.isfinite(cost)}


def fooling(costs: Floats, correct: Flags, eligible: Flags, eps: float, seed: int) -> dict[str, float]:
    """Compute the metrics of one attack; a key is left out where there is no number.

    Args:
        costs: costs of the clips, shape (N,); infinite where the attack fails.
        correct: clips that the victim classifies correctly, shape (N,).
        eligible: clips that were attacked, shape (N,).
        eps: the budget, in the norm of the costs.
        seed: seed of the bootstrap.
    """
    within = eligible & (costs <= eps)
    found = {"robust_accuracy": float((correct & ~within).mean()), "eligible": int(eligible.sum())}
    if not eligible.any():
        return found
    found |= rate("fooling_rate", within[eligible])
    found |= {"fooling_ceiling": float(np.isfinite(costs[eligible]).mean())}
    return found | cost_quantiles(costs[eligible], seed)


def loudness(values: Mapping[str, float]) -> dict[str, float]:
    """Tell costs of sounds, and the ends of their intervals, as signal-to-noise ratios, in dB.

    Args:
        values: metrics with costs as amplitude ratios, as `cost_quantiles` has them; those that are 0 are left out.
    """
    ends = {"": "", "_low": "_high", "_high": "_low"}
    pairs = {f"{snr}{ends[end]}": f"{cost}{end}" for snr, cost in SNRS.items() for end in ends}
    return {snr: float(decibels(values[cost])) for snr, cost in pairs.items() if values.get(cost)}


def curves(costs: Mapping[str, Floats], eligible: Flags) -> pd.DataFrame:
    """Tabulate the share of eligible clips fooled within each budget, NaN if none is eligible; a column per attack."""
    budgets = np.geomspace(0.001, 1, 49)
    found = {name: [_within(cost[eligible], budget) for budget in budgets] for name, cost in costs.items()}
    return pd.DataFrame({"budget": budgets, **found})


def snr_curves(costs: Mapping[str, Floats], eligible: Flags, snrs: Floats) -> pd.DataFrame:
    """Tabulate the share of eligible sounds moved at each signal-to-noise ratio, in dB; a column for each of `costs`.

    Args:
        costs: amplitude ratios, shape (N,), by name; infinite where an attack fails.
        eligible: clips that were attacked, shape (N,).
        snrs: the ratios, in dB.
    """
    found = {name: [_within(cost[eligible], ratio(snr)) for snr in snrs] for name, cost in costs.items()}
    return pd.DataFrame({"snr": snrs, **found})


def _within(costs: Floats, budget: float) -> float:
    return float((costs <= budget).mean()) if len(costs) else np.nan


def class_targets(costs: Floats, eligible: Flags, labels: Strings, targets: Strings, eps: float) -> pd.DataFrame:
    """Tabulate each pair of classes: `source`, `target`, `clips`, `fooling_rate`, `ceiling`, `cost_median`.

    Args:
        costs: costs of the clips, shape (N,); infinite where the attack fails.
        eligible: clips that were attacked, shape (N,).
        labels: classes of the clips, shape (N,).
        targets: classes that the attack aimed at, shape (N,).
        eps: the budget of `fooling_rate`.
    """
    table = pd.DataFrame({"source": labels, "target": targets, "cost": costs})[eligible]
    rows = [
        {
            "source": source,
            "target": target,
            "clips": len(found),
            "fooling_rate": _within(found.to_numpy(), eps),
            "ceiling": _within(found.to_numpy(), 1.0),
            "cost_median": quantile(found.to_numpy(), 0.5),
        }
        for (source, target), found in table.groupby(["source", "target"])["cost"]
    ]
    names = ["source", "target", "clips", "fooling_rate", "ceiling", "cost_median"]
    return pd.DataFrame(rows, columns=names).replace(np.inf, np.nan)


def over_folds(values: Sequence[float]) -> tuple[float, float]:
    """Compute a 95 % interval of the mean of at least two values, one per fold, by Student's t distribution."""
    spread = float(np.std(values, ddof=1)) / sqrt(len(values))
    half = float(special.stdtrit(len(values) - 1, 0.975)) * spread
    mean = float(np.mean(values))
    return mean - half, mean + half
