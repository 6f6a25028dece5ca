"""The bracket of each clip, and the value at which it begins to be fooled."""

import pytest
import torch
from torch import Tensor

from stages.attacks.base.bisection import Bracket, halve

INF = float("inf")


def test_a_bracket_narrows_at_the_rows_tried_alone() -> None:
    bracket = Bracket(fails=torch.zeros(4), fools=torch.tensor([INF, INF, 0.8, 0.8]))
    bracket.narrow(torch.tensor([3, 0]), torch.tensor([0.5, 0.3]), torch.tensor([True, False]))
    assert bracket.fails.tolist() == pytest.approx([0.3, 0, 0, 0])
    assert bracket.fools.tolist() == pytest.approx([INF, INF, 0.8, 0.5])
    bracket.narrow(torch.tensor([0, 1, 3]), torch.tensor([0.6, 0.7, 0.4]), torch.tensor([True, True, False]))
    assert bracket.fails.tolist() == pytest.approx([0.3, 0, 0, 0.4])
    assert bracket.fools.tolist() == pytest.approx([0.6, 0.7, 0.8, 0.5])


def test_a_bracket_never_widens() -> None:
    """As when a larger value fails after a smaller one fooled, or a clip fails at less than it failed at before."""
    bracket = Bracket(fails=torch.tensor([0.4, 0.4]), fools=torch.tensor([0.5, 0.5]))
    bracket.narrow(torch.arange(2), torch.tensor([0.9, 0.1]), torch.tensor([True, False]))
    assert bracket.fails.tolist() == pytest.approx([0.4, 0.4])
    assert bracket.fools.tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("halvings", [1, 5, 12])
def test_halving_finds_what_just_fools(halvings: int) -> None:
    upper = torch.tensor([1.0, 1.0, 0.5, INF, 1.0])
    thresholds = torch.tensor([0.3, 0.0, 0.5, 0.1, 0.999])
    asked: list[list[int]] = []

    def fools(values: Tensor, rows: Tensor) -> Tensor:
        asked.append(rows.tolist())
        return values >= thresholds[rows]

    found = halve(fools, upper, halvings)
    assert found[3] == INF
    assert asked == [[0, 1, 2, 4]] * halvings
    near = found.isfinite()
    assert (found[near] >= thresholds[near]).all()
    assert (found[near] - thresholds[near] <= upper[near] * 2.0**-halvings).all()
    assert upper.tolist() == [1.0, 1.0, 0.5, INF, 1.0]


def test_where_nothing_fools_nothing_is_asked() -> None:
    def fools(_values: Tensor, _rows: Tensor) -> Tensor:
        raise AssertionError("it was asked")

    assert halve(fools, torch.full((3,), INF), 7).isinf().all()
    assert not len(halve(fools, torch.zeros(0), 7))
