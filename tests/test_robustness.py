"""Sizes and targets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stages.attacks.base.targets import draw_targets
from stages.core.errors import InputError
from stages.stores import perturbations


@given(hnp.arrays(np.float32, (3, 1, 4, 5), elements=st.floats(0, 1, width=32)))
def test_sizes_are_means_of_one_scale(delta: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    sizes = perturbations.sizes(np.zeros_like(delta), delta)
    assert (sizes.l1 <= sizes.l2 + 1e-6).all()
    assert (sizes.l2 <= sizes.linf + 1e-6).all()
    constant = perturbations.sizes(np.zeros_like(delta), np.full_like(delta, 0.25))
    np.testing.assert_allclose([constant.linf, constant.l2, constant.l1], 0.25, rtol=1e-6)


def test_targets_are_wrong_and_follow_the_clip() -> None:
    clips = np.array([f"clip{i}" for i in range(200)])
    labels = np.arange(200) % 10
    targets = draw_targets(0, clips, labels, 10)
    assert (targets != labels).all()
    assert set(targets) == set(range(10))
    order = np.random.default_rng(0).permutation(200)
    np.testing.assert_array_equal(draw_targets(0, clips[order], labels[order], 10), targets[order])
    assert (draw_targets(1, clips, labels, 10) != targets).any()


def test_one_class_has_no_target() -> None:
    with pytest.raises(InputError, match="the dataset has 1 class: a wrong one to aim at needs at least two"):
        draw_targets(0, np.array(["clip"]), np.zeros(1, np.int64), 1)
