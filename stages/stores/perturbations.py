"""The size of a perturbation, in three norms: the one place where it is measured."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stages.core.arrays import Images

Norm = Literal["linf", "l2", "l1"]


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
    linf, l2, l1 = (size(clean, adversarial, norm) for norm in ("linf", "l2", "l1"))
    return Sizes(linf, l2, l1)


def size(clean: Images, adversarial: Images, norm: Norm) -> Images:
    """Measure the perturbations in one norm, shape (N,), float32."""
    delta = np.abs(adversarial.astype(np.float64) - clean).reshape(len(clean), -1)
    match norm:
        case "linf":
            means = delta.max(1)
        case "l2":
            means = np.sqrt((delta**2).mean(1))
        case "l1":
            means = delta.mean(1)
    rounded: Images = means.astype(np.float32)
    return rounded
