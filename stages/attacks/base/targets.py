"""The wrong classes that attacks aim at."""

import numpy as np

from stages.core import seeding
from stages.core.arrays import Integers, Strings
from stages.core.errors import InputError


def draw_targets(seed: int, clips: Strings, labels: Integers, classes: int) -> Integers:
    """Draw a wrong class for each clip, fixed by (seed, clip): the same for every model, attack and run.

    Args:
        seed: the run's seed, >= 0.
        clips: names of the clips, shape (N,).
        labels: classes of the clips, in [0, classes), shape (N,).
        classes: number of classes.

    Raises:
        InputError: there is no other class.

    Example:
        >>> draw_targets(0, np.array(["a.wav", "b.wav"]), np.array([0, 5]), classes=10)
        array([3, 7])
    """
    if classes < 2:
        raise InputError(f"the dataset has {classes} class: a wrong one to aim at needs at least two")
    draws = [seeding.generator(seed, "target", str(clip)).integers(1, classes) for clip in clips]
    return (labels + np.array(draws, np.int64)) % classes
