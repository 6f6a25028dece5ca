"""The size of a perturbation, in three norms: the one place where it is measured."""

from dataclasses import dataclass

import numpy as np

from stages.core.arrays import Images


@dataclass(frozen=True)
class Sizes:
    """The p-means of abs(delta) over the bins of each clip, shape (N,): fractions of the dynamic range."""

    linf: Images
    l2: Images
    l1: Images


def sizes(clean: Images, adversarial: Images) -> Sizes:
    """Measure the perturbations between two sets of images, shape (N, 1, height, width).

    Example:
        >>> clean = np.zeros((1, 1, 2, 2), np.float32)
        >>> adversarial = np.array([[[[0.5, 0.0], [0.0, 0.0]]]], np.float32)
        >>> sizes(clean, adversarial)
        Sizes(linf=array([0.5], dtype=float32), l2=array([0.25], dtype=float32), l1=array([0.125], dtype=float32))
    """
    delta = np.abs(adversarial.astype(np.float64) - clean).reshape(len(clean), -1)
    linf, l2, l1 = delta.max(1), np.sqrt((delta**2).mean(1)), delta.mean(1)
    return Sizes(linf.astype(np.float32), l2.astype(np.float32), l1.astype(np.float32))
