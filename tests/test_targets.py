"""The wrong classes that attacks aim at."""

import numpy as np
import pytest

from stages.attacks.base.targets import draw_targets
from stages.core.errors import InputError


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
