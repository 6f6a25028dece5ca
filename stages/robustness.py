"""Sizes and costs of perturbations, fooling rates with their intervals."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from stages import seeding
from stages.stores import Images, Integers, Strings

Z_95 = 1.959963984540054
"""Quantile of the normal distribution for a two-sided interval of 95 %."""


@dataclass(frozen=True)
class Sizes:
    """p-means of abs(delta) over the bins of each clip, shape (N,): fractions of the dynamic range."""

    linf: Images
    l2: Images
    l1: Images


def sizes(clean: Images, adversarial: Images) -> Sizes:
    """Sizes of the perturbations between two sets of images, shape (N, 1, height, width)."""
    delta = np.abs(adversarial.astype(np.float64) - clean).reshape(len(clean), -1)
    linf, l2, l1 = delta.max(1), np.sqrt((delta**2).mean(1)), delta.mean(1)
    return Sizes(linf.astype(np.float32), l2.astype(np.float32), l1.astype(np.float32))


def targets(seed: int, clips: Strings, labels: Integers, classes: int) -> Integers:
    """For each clip a wrong class, fixed by (seed, clip): the same for every victim, attack and run."""
    draws = [seeding.generator(seed, "target", str(clip)).integers(1, classes) for clip in clips]
    return (labels + np.array(draws, np.int64)) % classes


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate of `hits` in `count` > 0 (Wilson 1927)."""
    rate, spread = hits / count, Z_95**2 / count
    centre = (rate + spread / 2) / (1 + spread)
    half = Z_95 * sqrt(rate * (1 - rate) / count + Z_95**2 / (4 * count**2)) / (1 + spread)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def quantile(costs: npt.NDArray[np.floating], share: float) -> float:
    """Smallest cost that at least a share of the clips does not exceed; infinite costs are failures."""
    return float(np.quantile(costs, share, method="inverted_cdf"))


def fooling_rates(
    costs: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_], eligible: npt.NDArray[np.bool_], eps: float
) -> dict[str, float]:
    """The metrics of one attack; a key is left out where there is no number.

    Args:
        costs: shape (N,); infinite where the attack fails.
        correct: clips that the victim classifies correctly, shape (N,).
        eligible: clips that were attacked, shape (N,).
        eps: the budget, in the norm of the costs.
    """
    count = int(eligible.sum())
    within = eligible & (costs <= eps)
    found = {"robust_accuracy": float((correct & ~within).mean()), "eligible": count}
    if not count:
        return found
    low, high = wilson(int(within.sum()), count)
    found |= {"fooling_rate": float(within.sum() / count), "fooling_rate_low": low, "fooling_rate_high": high}
    found |= {"fooling_ceiling": float(np.isfinite(costs[eligible]).mean())}
    prices = {"eps90": quantile(costs[eligible], 0.9), "cost_median": quantile(costs[eligible], 0.5)}
    return found | {name: price for name, price in prices.items() if np.isfinite(price)}
