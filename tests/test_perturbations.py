"""Sizes of perturbations."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stages.core.arrays import Images
from stages.stores import perturbations


@given(hnp.arrays(np.float32, (3, 1, 4, 5), elements=st.floats(0, 1, width=32)))
def test_sizes_are_means_of_one_scale(delta: Images) -> None:
    sizes = perturbations.sizes(np.zeros_like(delta), delta)
    assert (sizes.l1 <= sizes.l2 + 1e-6).all()
    assert (sizes.l2 <= sizes.linf + 1e-6).all()
    constant = perturbations.sizes(np.zeros_like(delta), np.full_like(delta, 0.25))
    np.testing.assert_allclose([constant.linf, constant.l2, constant.l1], 0.25, rtol=1e-6)
