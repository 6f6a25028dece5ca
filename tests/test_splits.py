"""Training, validation and test clips: by folds, in whole groups."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.errors import InputError
from stages.stores import splits
from tests.helpers import feature_store


@given(seed=st.integers(0, 1000), share=st.floats(0.05, 0.45), fold=st.integers(1, 5))
def test_splits_are_disjoint_and_keep_groups_whole(seed: int, share: float, fold: int) -> None:
    made = feature_store(np.random.default_rng(0), clips=120)
    split = splits.split(made, fold, share, seed)
    parts = [split.train, split.validation, split.test]
    assert sorted(np.concatenate(parts).tolist()) == list(range(120))
    groups = [set(made.groups[part]) for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert set(made.folds[split.test]) == {fold}
    assert fold not in made.folds[np.concatenate(parts[:2])]


def test_validation_is_stratified_and_fixed_by_the_seed() -> None:
    made = feature_store(np.random.default_rng(0), clips=300)
    split = splits.split(made, 5, 0.15, 0)
    counts = np.bincount(made.labels[split.validation])
    assert counts.min() >= 0.15 * 80
    assert counts.max() <= 0.15 * 80 + 2
    np.testing.assert_array_equal(split.validation, splits.split(made, 5, 0.15, 0).validation)
    assert set(split.validation) != set(splits.split(made, 5, 0.15, 1).validation)


def test_the_only_recording_of_a_class_is_left_to_train_on(rng: np.random.Generator) -> None:
    made = feature_store(rng)
    groups = np.where(made.labels == 1, "one", made.groups)
    folded = np.where(made.labels == 1, 2, made.folds)
    split = splits.split(replace(made, groups=groups, folds=folded), 5, 0.15, 0)
    assert set(made.labels[split.train]) == {0, 1, 2}
    assert set(made.labels[split.validation]) == {0, 2}


def test_a_class_whose_recordings_hold_others_too_is_left_one_to_train_on(rng: np.random.Generator) -> None:
    """Both recordings of class 1 hold a clip of class 0, which takes 0.45 of its own to validate on."""
    made = feature_store(rng, clips=300)
    labels = np.where(made.folds == 5, made.labels, 0)
    shared = np.unique(made.groups[made.folds != 5])[:2]
    first = np.array([np.flatnonzero(made.groups == name)[0] for name in shared])
    labels[first] = 1
    for seed in range(20):
        split = splits.split(replace(made, labels=labels), 5, 0.45, seed)
        assert set(labels[split.train]) == {0, 1}


def test_a_fold_that_is_not_there(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match=r"grid.fold: 6 is not a fold of the dataset; it has \[1, 2, 3, 4, 5\]"):
        splits.split(feature_store(rng), 6, 0.15, 0)


def test_one_fold_leaves_nothing_to_train_on(rng: np.random.Generator) -> None:
    made = feature_store(rng)
    with pytest.raises(InputError, match="at least two folds"):
        splits.split(replace(made, folds=np.ones_like(made.folds)), 1, 0.15, 0)
