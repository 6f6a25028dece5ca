"""Folds for recordings that have none: stratified by class, in whole groups."""

import numpy as np
import pandas as pd

from stages.core import seeding
from stages.core.errors import InputError


def make(rows: pd.DataFrame, count: int, seed: int) -> list[int]:
    """Assign a fold, 1 to `count`, to each clip.

    The assignment is greedy. The groups go one by one to the fold that has the fewest clips of their classes, among
    equals to the fold that has the fewest clips. The largest groups go first, those of one size in a random order.

    Args:
        rows: clips, with the columns `path`, `label` and `group`; their order does not matter.
        count: number of folds.
        seed: seed of the random order.

    Raises:
        InputError: there are fewer groups than folds.
    """
    classes = sorted(set(rows.label))
    counts = pd.crosstab(rows.group, rows.label).reindex(columns=classes)
    if len(counts) < count:
        raise InputError(f"{len(counts)} groups cannot fill datasets.folder.folds = {count} folds: ask for fewer")
    shuffled = counts.sort_index().iloc[seeding.generator(seed, "folds").permutation(len(counts))]
    largest_first = shuffled.iloc[np.argsort(-shuffled.to_numpy().sum(1), kind="stable")]
    filled = np.zeros((count, len(classes)), int)
    chosen = {}
    for group, clips in zip(largest_first.index, largest_first.to_numpy(), strict=True):
        fold = min(range(count), key=lambda fold: (int(filled[fold] @ clips), int(filled[fold].sum()), fold))
        filled[fold] += clips
        chosen[group] = fold + 1
    return [chosen[group] for group in rows.group]
