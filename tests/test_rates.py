"""Intervals, rates, costs, curves."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.arrays import Strings
from stages.evaluation import intervals, rates


def apart(clips: int) -> Strings:
    """Recordings of so many clips, one each."""
    return np.arange(clips).astype(np.str_)


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263, and 0 of 20.
    assert intervals.wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert intervals.wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)


@pytest.mark.parametrize("size", [1, 7.5, 26, 1000])
def test_the_ends_are_exact_at_no_hit_and_at_hits_alone(size: float) -> None:
    assert intervals.wilson(0.0, size)[0] == 0
    assert intervals.wilson(1.0, size)[1] == 1


def test_the_effective_size_by_hand() -> None:
    assert intervals.effective_size(apart(26)) == 26
    assert intervals.effective_size(np.array(["a"] * 4)) == 1
    assert intervals.effective_size(np.array(list("aabbcd"))) == 36 / 10


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(1, 5))
def test_copies_of_every_clip_leave_the_interval_of_a_rate_as_it_is(hits: list[bool], copies: int) -> None:
    once = rates.rate("x", np.array(hits), apart(len(hits)))
    again = rates.rate("x", np.repeat(hits, copies), np.repeat(apart(len(hits)), copies))
    assert again == pytest.approx(once)


@pytest.mark.parametrize(
    ("size", "share", "ranks"),
    [
        # Of 26 clips: P(at most 7 below the median) = 1.4 %, at most 8 3.8 %.
        (26, 0.5, (8, 19)),
        (6, 0.5, (1, 6)),
        (5, 0.5, None),
        # 0.9^35 = 2.503 %, 0.9^36 = 2.25 %; of 36 clips: P(at most 28 below) = 2.4 %, at most 29 6.3 %.
        (35, 0.9, None),
        (36, 0.9, (29, 36)),
    ],
)
def test_the_ranks_of_a_quantile(size: int, share: float, ranks: tuple[int, int] | None) -> None:
    assert intervals.quantile_ranks(size, share) == ranks


@given(st.integers(1, 12), st.sampled_from([0.5, 0.9]))
def test_copies_of_every_clip_leave_the_interval_of_a_quantile_as_it_is(copies: int, share: float) -> None:
    costs = np.random.default_rng(0).lognormal(0, 1, 40)
    once = intervals.of_quantile(costs, share, apart(40))
    assert once is not None
    assert intervals.of_quantile(np.repeat(costs, copies), share, np.repeat(apart(40), copies)) == once


@pytest.mark.parametrize(("share", "true"), [(0.5, 0.0), (0.9, 1.2815516)])
def test_intervals_cover_a_quantile_as_often_as_they_say(share: float, true: float) -> None:
    """Of 4,000 samples of a normal distribution, at least 95 % of the intervals hold the quantile."""
    samples = np.random.default_rng(0).normal(0, 1, (4000, 40))
    found = [interval for sample in samples if (interval := intervals.of_quantile(sample, share, apart(40)))]
    assert len(found) == len(samples)
    assert 0.95 <= np.mean([low <= true <= high for low, high in found]) <= 0.985


def test_intervals_cover_the_median_of_clips_that_are_alike_within_a_recording() -> None:
    """Of recordings with one to three clips, whose costs share the recording's: clips taken for independent do not."""
    rng, groups = np.random.default_rng(1), np.repeat(apart(30), np.arange(30) % 3 + 1)
    recordings = rng.normal(0, 1, (2000, 30))[:, groups.astype(int)]
    samples = recordings + rng.normal(0, 0.1, recordings.shape)
    shares = []
    for names in (groups, apart(len(groups))):
        found = [intervals.of_quantile(sample, 0.5, names) for sample in samples]
        shares.append(np.mean([interval[0] <= 0 <= interval[1] for interval in found if interval]))
    assert shares[0] >= 0.95
    assert shares[1] < 0.9


def test_an_interval_with_an_infinite_end_is_none() -> None:
    costs = np.array([*np.linspace(0.1, 0.3, 16), *[np.inf] * 10])
    found = rates.cost_quantiles(costs, apart(26))
    assert found == {"cost_median": pytest.approx(0.26)}


def test_rates_by_hand() -> None:
    costs = np.array([0.01, 0.02, 0.03, np.inf, 0.001])
    eligible = np.array([True, True, True, True, False])
    metrics = rates.fooling(costs, eligible, 0.02, np.array(list("abcde")))
    assert metrics["fooling_rate"] == 0.5
    assert metrics["fooling_ceiling"] == 0.75
    assert metrics["cost_median"] == 0.02
    assert metrics["eligible"] == 4
    assert not {"eps90", "cost_median_low", "cost_median_high", "robust_accuracy"} & set(metrics)


def test_no_eligible_clip_gives_no_rates() -> None:
    assert rates.fooling(np.full(3, np.inf), np.zeros(3, bool), 0.02, apart(3)) == {"budget": 0.02, "eligible": 0}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.5, 0.9]))
def test_the_quantile_is_a_cost_that_suffices(costs: list[float], share: float) -> None:
    budget = rates.quantile(np.array(costs), share)
    assert np.mean(np.array(costs) <= budget) >= share - 1e-9
    assert np.mean(np.array(costs) < budget) < share


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
    assert intervals.over_folds([1, 2, 3, 4, 5]) == pytest.approx((3 - half, 3 + half), rel=1e-6)
