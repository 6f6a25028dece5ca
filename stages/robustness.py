"""Sizes of perturbations, and the classes that attacks aim at."""

from dataclasses import dataclass

import numpy as np

from stages import seeding
from stages.console import InputError
from stages.stores import Images, Integers, Strings


@dataclass(frozen=True)
class Sizes:
    """p-means of abs(delta) over the bins of each clip, shape (N,): fractions of the dynamic range."""

    linf: Images
    l2: Images
    l1: Images


def sizes(clean: Images, adversarial: Images) -> Sizes:
    """Sizes of the perturbations between two sets of images, shape (N, 1, height, width)."""
    delta = np.abs(adversarial.astype(np.float64) - clean).reshape(len(clean), -1)
    linf, l2, l1 = delta.max(1), np.sqrt((delta**2).mean(1)), delta.mean(1)
    return Sizes(linf.astype(np.float32), l2.astype(np.float32), l1.astype(np.float32))


def targets(seed: int, clips: Strings, labels: Integers, classes: int) -> Integers:
    """For each clip a wrong class, fixed by (seed, clip): the same for every victim, attack and run.

    Raises:
        InputError: there is no other class.
    """
    if classes < 2:
        raise InputError(f"the dataset has {classes} class: a wrong one to aim at needs at least two")
    draws = [seeding.generator(seed, "target", str(clip)).integers(1, classes) for clip in clips]
    return (labels + np.array(draws, np.int64)) % classes
