"""The smallest value that fools, clip by clip, between one that fails and one that fools."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Bracket:
    """The largest value known to fail and the smallest known to fool, for each of N clips; changed in place."""

    fails: Tensor
    """Largest values that failed, shape (N,); 0 where nothing failed yet."""
    fools: Tensor
    """Smallest values that fooled, shape (N,); infinite where nothing fooled yet."""

    def narrow(self, rows: Tensor, tried: Tensor, fooled: Tensor) -> None:
        """Update the bracket with the outcome of one value tried for each of the clips at `rows`."""
        hit, missed = rows[fooled], rows[~fooled]
        self.fools[hit] = torch.minimum(self.fools[hit], tried[fooled])
        self.fails[missed] = torch.maximum(self.fails[missed], tried[~fooled])


def halve(fools: Callable[[Tensor, Tensor], Tensor], upper: Tensor, halvings: int) -> Tensor:
    """Halve each clip's interval, from 0 to a value that fools, `halvings` times.

    Args:
        fools: function of values and rows; tells for each row whether its value fools, shape (rows,), bool, on the CPU.
        upper: values that fool, shape (N,); infinite for clips that are left out.
        halvings: number of halvings of each interval.

    Returns:
        the smallest values found that fool, shape (N,).
    """
    bracket = Bracket(torch.zeros_like(upper), upper.clone())
    rows = torch.nonzero(upper.isfinite()).flatten()
    for _ in range(halvings if len(rows) else 0):
        middle = (bracket.fails[rows] + bracket.fools[rows]) / 2
        bracket.narrow(rows, middle, fools(middle, rows))
    return bracket.fools
