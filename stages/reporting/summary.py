"""Means of metrics over folds, and what hardening changed."""

from collections.abc import Callable, Mapping, Sequence
from math import exp, inf, log
from typing import Any

import numpy as np
import pandas as pd

from stages.core.arrays import Floats
from stages.evaluation import rates
from stages.evaluation.results import Metrics

DROPS = {"fooling_drop": "fooling_rate"}
GAINS = {"snr_gain": "worst_snr", "snr_gain_untargeted": "untargeted"}
RATIOS = {"cost_ratio": "cost_median", "eps90_ratio": "eps90"}


def mean(folds: Sequence[Metrics]) -> Metrics:
    """Average each number over the folds; a number that some fold lacks is left out.

    With several folds, the interval of a mean is that over the folds. Where all agree, as on a rate of 0, it would be
    empty, as if the rate were known exactly: then it is the mean of their intervals.
    """
    common = [key for key in folds[0] if all(key in each for each in folds)]
    if len(folds) > 1:
        common = [key for key in common if _other_end(key) not in folds[0].keys() - {*common}]
    found: Metrics = {key: _mean([each[key] for each in folds]) for key in common}
    for key in [key for key in common if f"{key}_low" in found]:
        values = [each[key] for each in folds]
        if len(set(values)) > 1:
            low, high = rates.over_folds(values)
            least = -inf if key in rates.SNRS else 0.0
            most = inf if key in {*rates.SNRS, *rates.COST_QUANTILES} else 1.0
            found |= {f"{key}_low": max(low, least), f"{key}_high": min(high, most)}
    return found


def _other_end(key: str) -> str:
    """Name the other end of the interval whose end a key is; an end alone is no interval."""
    return f"{key[:-4]}_high" if key.endswith("_low") else f"{key[:-5]}_low" if key.endswith("_high") else ""


def _mean(values: list[Any]) -> Any:
    return mean(values) if isinstance(values[0], dict) else sum(values) / len(values)


def compare(baseline: Sequence[Metrics], hardened: Sequence[Metrics]) -> Metrics:
    """Compare hardened models with baselines: differences of rates, ratios of costs (hardened over baseline).

    Over several folds, differences are averaged, and ratios too, on a log scale, with intervals over the folds. A
    number that some fold lacks is left out.

    Args:
        baseline: metrics of the baseline, one per fold.
        hardened: metrics of the hardened model, in the same order.
    """
    pairs = list(zip(baseline, hardened, strict=True))
    cleans = [(before["clean"], after["clean"]) for before, after in pairs]
    found = _over_folds("accuracy_drop", "accuracy", cleans, _drop)
    for attack in baseline[0]["adaptive"]:
        attacked = [(before["adaptive"][attack], after["adaptive"][attack]) for before, after in pairs]
        found[attack] = {}
        for name, key in DROPS.items():
            found[attack] |= _over_folds(name, key, attacked, _drop)
        for name, key in RATIOS.items():
            logs = _over_folds(name, key, attacked, _log_ratio)
            found[attack] |= {name: exp(value) for name, value in logs.items()}
    return found


def sound_gains(snrs: Mapping[str, pd.DataFrame]) -> Metrics:
    """Compute by how many dB louder attacks on the sound must be after hardening, for the median clip.

    Only clips count that both models get right. A clip that an attack fails on counts as infinitely dear.

    Args:
        snrs: by model, the signal-to-noise ratio with which each clip is fooled, in dB, a column an attack; empty where
            it fails.
    """
    both = snrs["baseline"].merge(snrs["hardened"], on="clip", suffixes=("_before", "_after"))
    found: Metrics = {}
    for name, column in GAINS.items():
        if len(both) and f"{column}_before" in both:
            found |= _gain(name, both[f"{column}_before"].to_numpy(), both[f"{column}_after"].to_numpy())
    return found


def _gain(name: str, before: Floats, after: Floats) -> Metrics:
    """Find the median of the differences of pairs, and its interval; what is infinite is left out.

    A clip that neither model can be fooled on tells nothing.
    """
    told = ~(np.isnan(before) & np.isnan(after))
    if not told.any():
        return {}
    gains = np.nan_to_num(before[told], nan=-inf) - np.nan_to_num(after[told], nan=-inf)
    low, high = rates.bootstrap(gains, 0.5, seed=0)
    values = {name: rates.quantile(gains, 0.5), f"{name}_low": low, f"{name}_high": high}
    return {key: value for key, value in values.items() if np.isfinite(value)}


def _over_folds(
    name: str, key: str, pairs: Sequence[tuple[Metrics, Metrics]], change: Callable[[float, float], float]
) -> Metrics:
    """Average a change over the folds, with its interval if they differ; nothing if some fold lacks the number."""
    if not all(key in before and key in after for before, after in pairs):
        return {}
    values = [change(before[key], after[key]) for before, after in pairs]
    found = {name: sum(values) / len(values)}
    if len(set(values)) > 1:
        low, high = rates.over_folds(values)
        found |= {f"{name}_low": low, f"{name}_high": high}
    return found


def _drop(before: float, after: float) -> float:
    return before - after


def _log_ratio(before: float, after: float) -> float:
    return log(after / before)
