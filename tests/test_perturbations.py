"""Sizes of perturbations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stages.core.arrays import Images
from stages.stores import perturbations
from stages.stores.perturbations import Norm

NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")


@given(hnp.arrays(np.float32, (3, 1, 4, 5), elements=st.floats(0, 1, width=32)))
def test_sizes_are_means_of_one_scale(delta: Images) -> None:
    linf, l2, l1 = (perturbations.size(np.zeros_like(delta), delta, norm) for norm in NORMS)
    assert (l1 <= l2 + 1e-6).all()
    assert (l2 <= linf + 1e-6).all()
    constant = [perturbations.size(np.zeros_like(delta), np.full_like(delta, 0.25), norm) for norm in NORMS]
    np.testing.assert_allclose(constant, 0.25, rtol=1e-6)


def test_ratios_and_decibels_are_inverse() -> None:
    assert perturbations.decibels(0.1) == pytest.approx(20)
    assert perturbations.ratio(perturbations.decibels(0.037)) == pytest.approx(0.037)
