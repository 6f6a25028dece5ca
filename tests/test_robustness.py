"""Sizes, targets, intervals, rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stages import robustness


@given(hnp.arrays(np.float32, (3, 1, 4, 5), elements=st.floats(0, 1, width=32)))
def test_sizes_are_means_of_one_scale(delta: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    sizes = robustness.sizes(np.zeros_like(delta), delta)
    assert (sizes.l1 <= sizes.l2 + 1e-6).all()
    assert (sizes.l2 <= sizes.linf + 1e-6).all()
    constant = robustness.sizes(np.zeros_like(delta), np.full_like(delta, 0.25))
    np.testing.assert_allclose([constant.linf, constant.l2, constant.l1], 0.25, rtol=1e-6)


def test_targets_are_wrong_and_follow_the_clip() -> None:
    clips = np.array([f"clip{i}" for i in range(200)])
    labels = np.arange(200) % 10
    targets = robustness.targets(0, clips, labels, 10)
    assert (targets != labels).all()
    assert set(targets) == set(range(10))
    order = np.random.default_rng(0).permutation(200)
    np.testing.assert_array_equal(robustness.targets(0, clips[order], labels[order], 10), targets[order])
    assert (robustness.targets(1, clips, labels, 10) != targets).any()


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263, and 0 of 20.
    assert robustness.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert robustness.wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)


def test_rates_by_hand() -> None:
    costs = np.array([0.01, 0.02, 0.03, np.inf, 0.001])
    correct = np.array([True, True, True, True, False])
    metrics = robustness.fooling_rates(costs, correct, correct, 0.02)
    assert metrics["fooling_rate"] == 0.5
    assert metrics["fooling_ceiling"] == 0.75
    assert metrics["robust_accuracy"] == 0.4
    assert metrics["cost_median"] == 0.02
    assert metrics["eligible"] == 4
    assert "eps90" not in metrics


def test_no_eligible_clip_gives_no_rates() -> None:
    nothing = np.zeros(3, bool)
    metrics = robustness.fooling_rates(np.full(3, np.inf), nothing, nothing, 0.02)
    assert metrics == {"robust_accuracy": 0.0, "eligible": 0}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.5, 0.9]))
def test_the_quantile_is_a_cost_that_suffices(costs: list[float], share: float) -> None:
    budget = robustness.quantile(np.array(costs), share)
    assert np.mean(np.array(costs) <= budget) >= share - 1e-9
    assert np.mean(np.array(costs) < budget) < share
