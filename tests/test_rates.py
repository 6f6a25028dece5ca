"""Intervals, rates, costs, curves."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.evaluation import rates


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263, and 0 of 20.
    assert rates.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert rates.wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)


def test_rates_by_hand() -> None:
    costs = np.array([0.01, 0.02, 0.03, np.inf, 0.001])
    correct = np.array([True, True, True, True, False])
    metrics = rates.fooling(costs, correct, correct, 0.02, seed=0)
    assert metrics["fooling_rate"] == 0.5
    assert metrics["fooling_ceiling"] == 0.75
    assert metrics["robust_accuracy"] == 0.4
    assert metrics["cost_median"] == 0.02
    assert metrics["eligible"] == 4
    assert metrics["cost_median_low"] == 0.01
    assert not {"eps90", "eps90_high", "cost_median_high"} & set(metrics)


def test_no_eligible_clip_gives_no_rates() -> None:
    nothing = np.zeros(3, bool)
    metrics = rates.fooling(np.full(3, np.inf), nothing, nothing, 0.02, seed=0)
    assert metrics == {"robust_accuracy": 0.0, "eligible": 0}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.5, 0.9]))
def test_the_quantile_is_a_cost_that_suffices(costs: list[float], share: float) -> None:
    budget = rates.quantile(np.array(costs), share)
    assert np.mean(np.array(costs) <= budget) >= share - 1e-9
    assert np.mean(np.array(costs) < budget) < share


def test_the_bootstrap_covers_the_quantile_as_often_as_it_says() -> None:
    """Of 120 samples of a known distribution, about 95 % of the intervals hold its median, and the seed fixes each."""
    rng = np.random.default_rng(0)
    samples = rng.lognormal(0, 1, (120, 40))
    intervals = [rates.bootstrap(sample, 0.5, seed=3) for sample in samples]
    assert 0.90 <= np.mean([low <= 1 <= high for low, high in intervals]) <= 0.99
    assert rates.bootstrap(samples[0], 0.5, seed=3) == intervals[0]


def test_curves_never_fall_and_end_at_the_ceiling() -> None:
    costs = np.array([0.01, 0.02, 0.03, 0.04, 0.05, np.inf])
    curves = rates.curves({"bim": costs}, np.ones(6, bool))
    assert (curves.bim.diff().dropna() >= 0).all()
    assert curves.bim.iloc[-1] == pytest.approx(5 / 6)


def test_a_model_that_gets_no_clip_right_has_no_curve_rather_than_one_that_says_robust() -> None:
    assert rates.curves({"bim": np.full(3, np.inf)}, np.zeros(3, bool)).bim.isna().all()


def test_the_matrix_of_classes_and_targets() -> None:
    costs = np.array([0.01, 0.03, np.inf, np.inf, 0.5], np.float32)
    eligible = np.array([True, True, True, True, False])
    labels, targets = np.array(list("aaabb")), np.array(list("bbbaa"))
    table = rates.class_targets(costs, eligible, labels, targets, eps=0.02)
    assert table.loc[0].to_dict() == {
        "source": "a",
        "target": "b",
        "clips": 3,
        "fooling_rate": pytest.approx(1 / 3),
        "ceiling": pytest.approx(2 / 3),
        "cost_median": pytest.approx(0.03),
    }
    assert table.loc[1].clips == 1
    assert np.isnan(table.loc[1].cost_median)
    assert rates.class_targets(costs, np.zeros(5, bool), labels, targets, 0.02).empty


def test_the_interval_over_folds_by_hand() -> None:
    # Student's t with 4 degrees of freedom: 2.776.
    half = 2.776445 * sqrt(2.5) / sqrt(5)
    assert rates.over_folds([1, 2, 3, 4, 5]) == pytest.approx((3 - half, 3 + half), rel=1e-6)
