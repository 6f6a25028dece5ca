"""Fooling rates, costs and their intervals, from the costs of an attack."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from stages.core.arrays import Flags, Floats, Strings
from stages.evaluation import intervals
from stages.stores.perturbations import decibels, ratio

SNRS = {"snr_median": "cost_median", "snr90": "eps90"}
"""Costs of sounds that are also told in dB."""

COST_QUANTILES = {"cost_median": 0.5, "eps90": 0.9}
"""Costs reported, and the share of the clips that each of them fools."""


def rate(name: str, hits: Flags, groups: Strings) -> dict[str, float]:
    """Compute the share of hits, under the key `name`, with Wilson's interval; no key at all if there are no clips.

    Args:
        name: key of the rate.
        hits: clips that count, shape (N,).
        groups: recordings of the clips, shape (N,); clips of one recording count as copies of each other.
    """
    if not len(hits):
        return {}
    share = float(hits.mean())
    low, high = intervals.wilson(share, intervals.effective_size(groups))
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def quantile(costs: Floats, share: float) -> float:
    """Find the smallest cost that at least a share of the clips does not exceed; infinite costs are failures."""
    return float(np.quantile(costs, share, method="inverted_cdf"))


def quantile_metrics(name: str, values: Floats, share: float, groups: Strings) -> dict[str, float]:
    """Find a quantile, under the key `name`, with its interval; what is infinite or has no interval is left out.

    Args:
        name: key of the quantile.
        values: values of the clips, shape (N,), N > 0; they may be infinite.
        share: share of the clips that the quantile stands for.
        groups: recordings of the clips, shape (N,).
    """
    found = quantile(values, share)
    if not np.isfinite(found):
        return {}
    interval = intervals.of_quantile(values, share, groups)
    return {name: found, **({f"{name}_low": interval[0], f"{name}_high": interval[1]} if interval else {})}


def cost_quantiles(costs: Floats, groups: Strings) -> dict[str, float]:
    """Compute median cost and eps90 of N > 0 clips, with their intervals.

    Args:
        costs: costs of the clips, shape (N,); infinite where the attack fails.
        groups: recordings of the clips, shape (N,).
    """
    found: dict[str, float] = {}
    for name, share in COST_QUANTILES.items():
        found |= quantile_metrics(name, costs, share, groups)
    return found


def fooling(costs: Floats, eligible: Flags, eps: float, groups: Strings) -> dict[str, float]:
    """Compute the metrics of one targeted attack; a key is left out where there is no number.

    Args:
        costs: costs of the clips, shape (N,); infinite where the attack fails.
        eligible: clips that were attacked, shape (N,).
        eps: the budget, in the norm of the costs.
        groups: recordings of the clips, shape (N,).
    """
    tried, recordings = costs[eligible], groups[eligible]
    found = {"budget": eps, "eligible": len(tried)} | rate("fooling_rate", tried <= eps, recordings)
    found |= rate("fooling_ceiling", np.isfinite(tried), recordings)
    return found | (cost_quantiles(tried, recordings) if len(tried) else {})


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
