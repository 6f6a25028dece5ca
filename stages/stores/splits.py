"""Training, validation and test clips, by the dataset's own folds; groups never cross."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from stages.core import seeding
from stages.core.arrays import Integers
from stages.core.errors import InputError
from stages.stores.features import Features


@dataclass(frozen=True)
class Split:
    """The positions of the training, validation and test clips in the feature store, ascending."""

    train: Integers
    validation: Integers
    test: Integers


def split(store: Features, fold: int, validation_share: float, seed: int) -> Split:
    """Split the clips of a store: test on one fold, train on the others, less a validation share of them.

    Args:
        store: the feature store; its labels, folds and groups are used.
        fold: number of the test fold.
        validation_share: share of each class's remaining clips, in (0, 0.5); met with whole groups.
        seed: the run's seed; it draws the groups.

    Raises:
        InputError: the dataset has no such fold, or nothing is left to train on.

    Example:
        >>> parts = split(store, fold=5, validation_share=0.2, seed=0)
        >>> np.unique(store.folds[parts.test]), 5 in store.folds[parts.train]
        (array([5]), False)
    """
    if fold not in store.folds:
        raise InputError(f"grid.fold: {fold} is not a fold of the dataset; it has {sorted(set(store.folds.tolist()))}")
    held_out = _validation_groups(store, np.flatnonzero(store.folds != fold), validation_share, seed)
    validating = np.isin(store.groups, sorted(held_out)) & (store.folds != fold)
    training = (store.folds != fold) & ~validating
    if not training.any() or not validating.any():
        raise InputError(f"fold {fold} leaves no clips to train or validate on: the dataset needs at least two folds")
    return Split(
        train=np.flatnonzero(training),
        validation=np.flatnonzero(validating),
        test=np.flatnonzero(store.folds == fold),
    )


def _validation_groups(store: Features, rest: Integers, share: float, seed: int) -> set[str]:
    """Draw groups class by class until the share of its clips is reached; leave one of each class to train on."""
    sizes = {label: Counter(store.groups[rest[store.labels[rest] == label]]) for label in np.unique(store.labels[rest])}
    left = {label: set(own) for label, own in sizes.items()}
    for label, own in sizes.items():
        held, wanted = sum(own[name] for name in own.keys() - left[label]), share * own.total()
        for name in seeding.generator(seed, "validation", store.classes[label]).permutation(sorted(own)):
            if held >= wanted:
                break
            # A group may hold clips of several classes.
            if name in left[label] and {name} not in left.values():
                held += own[name]
                for names in left.values():
                    names.discard(name)
    return {name for label, own in sizes.items() for name in own.keys() - left[label]}
