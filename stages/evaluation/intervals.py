"""Intervals of 95 % of rates, quantiles and means, that know how many recordings the clips are of."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy import special

from stages.core.arrays import Floats, Strings

Interval = tuple[float, float]

Z_95 = 1.959963984540054
"""Quantile of the normal distribution for a two-sided interval of 95 %."""

TAIL = 0.025
"""Largest probability that the true value lies below an interval, and the same above it."""


def effective_size(groups: Strings) -> float:
    """Compute Kish's effective sample size: n squared over the sum of the squares of the groups' sizes (Kish 1965).

    It takes clips of one recording for copies of each other, which makes intervals wide rather than narrow.

    Args:
        groups: recordings of the clips, shape (N,), N > 0.

    Example:
        >>> effective_size(np.array(["street", "street", "street", "rain"]))
        1.6
    """
    sizes = np.unique(groups, return_counts=True)[1]
    return float(sizes.sum() ** 2 / np.square(sizes).sum())


def wilson(rate: float, size: float) -> Interval:
    """Compute Wilson's interval of a rate (Wilson 1927).

    Args:
        rate: share of the clips, 0 to 1.
        size: number of independent clips, above 0; it need not be whole.

    Example:
        >>> low, high = wilson(0.08, 100)
        >>> print(f"{low:.3f} to {high:.3f}")
        0.041 to 0.150
    """
    spread = Z_95**2 / size
    centre = (rate + spread / 2) / (1 + spread)
    half = Z_95 * sqrt(rate * (1 - rate) / size + spread / (4 * size)) / (1 + spread)
    # The ends are exact at no hit and at hits alone, where rounding would leave 1e-18.
    return max(centre - half, 0.0) if rate > 0 else 0.0, min(centre + half, 1.0) if rate < 1 else 1.0


def quantile_ranks(size: int, share: float) -> tuple[int, int] | None:
    """Find the ranks, from 1, of the order statistics that enclose a quantile, whatever the distribution.

    The number of clips below the quantile is binomial. The ranks leave at most 2.5 % in each tail. There are none where
    even the smallest or the largest clip leaves more.

    Args:
        size: number of independent clips.
        share: share of the clips that the quantile stands for.

    Example:
        >>> quantile_ranks(26, 0.5), quantile_ranks(35, 0.9), quantile_ranks(36, 0.9)
        ((8, 19), None, (29, 36))
    """
    below = special.bdtr(np.arange(size), size, share)
    low, high = int((below <= TAIL).sum()), int((below < 1 - TAIL).sum()) + 1
    return (low, high) if low >= 1 and high <= size else None


def of_quantile(values: Floats, share: float, groups: Strings) -> Interval | None:
    """Find the interval of a quantile by binomial order statistics, None where there is none.

    The ranks are those of as many independent clips as the effective sample size, rounded down; the same shares of all
    values lie below the ends (Woodruff 1952). An interval with an infinite end is none.

    Args:
        values: values of the clips, shape (N,), N > 0; they may be infinite.
        share: share of the clips that the quantile stands for.
        groups: recordings of the clips, shape (N,).
    """
    size = int(effective_size(groups))
    ranks = quantile_ranks(size, share)
    if ranks is None:
        return None
    # In whole numbers: a share such as 7 / 100 of 100 values would round to the eighth.
    first, last = ranks[0] * len(values) // size, -(-ranks[1] * len(values) // size)
    low, high = np.sort(values)[[first - 1, last - 1]].tolist()
    return (low, high) if np.isfinite([low, high]).all() else None


def over_folds(values: Sequence[float]) -> Interval:
    """Compute the interval of the mean of at least two values, one per fold, by Student's t distribution."""
    spread = float(np.std(values, ddof=1)) / sqrt(len(values))
    half = float(special.stdtrit(len(values) - 1, 1 - TAIL)) * spread
    mean = float(np.mean(values))
    return mean - half, mean + half
