"""Means of metrics over folds."""

from collections.abc import Sequence
from math import inf
from typing import Any

from stages.evaluation import intervals, rates
from stages.evaluation.results import Metrics


def mean(folds: Sequence[Metrics]) -> Metrics:
    """Average each number over the folds; a number that some fold lacks is left out.

    With several folds, the interval of a mean is that over the folds. Where all agree, as on a rate of 0, it would be
    empty, as if the rate were known exactly: then it is the mean of their intervals.
    """
    common = [key for key in folds[0] if all(key in each for each in folds)]
    found: Metrics = {key: _mean([each[key] for each in folds]) for key in common}
    for key in [key for key in common if f"{key}_low" in found]:
        values = [each[key] for each in folds]
        if len(set(values)) > 1:
            low, high = intervals.over_folds(values)
            least = -inf if key in rates.SNRS else 0.0
            most = inf if key in {*rates.SNRS, *rates.COST_QUANTILES} else 1.0
            found |= {f"{key}_low": max(low, least), f"{key}_high": min(high, most)}
    return found


def _mean(values: list[Any]) -> Any:
    return mean(values) if isinstance(values[0], dict) else sum(values) / len(values)
