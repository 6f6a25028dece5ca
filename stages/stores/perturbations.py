"""The norms that perturbations are measured in, and the size of a perturbation of an image."""

from typing import Any, Literal

import numpy as np

from stages.core.arrays import Floats, Images

ImageNorm = Literal["linf", "l2", "l1", "l0"]
"""The p-mean of abs(delta) over the bins of an image, a fraction of the dynamic range; `l0` the share of bins moved."""

SoundNorm = Literal["snr", "peak", "masking"]
"""The size of a perturbation of a sound, as a ratio of amplitudes.

`snr`: RMS of the perturbation over that of the clip, the whole of it; -20 log10 of it is the signal-to-noise ratio.
`peak`: largest sample over the largest of the clip; 20 log10 of it is the dB_x of Carlini and Wagner (2018).
`masking`: by how much the perturbation rises above what the clip masks, at its loudest (`Masking.excess`).
"""

Norm = ImageNorm | SoundNorm

NORMS: dict[str, tuple[Norm, ...]] = {"image": ("linf", "l2", "l1", "l0"), "sound": ("snr", "peak", "masking")}
"""The norms that a perturbation in each domain is measured in."""


WORST: dict[str, Norm] = {"worst_linf": "linf", "worst_l2": "l2", "worst_l1": "l1", "worst_snr": "snr"}
"""The worst cases over all attacks of a domain, and the norm that each of them is measured in."""


def size(clean: Images, adversarial: Images, norm: Norm) -> Floats:
    """Measure the perturbations of images, shape (N, 1, height, width), in one norm of images.

    Returns:
        the sizes, shape (N,), float32.

    Example:
        >>> clean = np.zeros((1, 1, 2, 2), np.float32)
        >>> adversarial = np.array([[[[0.5, 0.0], [0.0, 0.0]]]], np.float32)
        >>> [size(clean, adversarial, norm).tolist() for norm in ("linf", "l2", "l1", "l0")]
        [[0.5], [0.25], [0.125], [0.25]]
    """
    delta = np.abs(adversarial.astype(np.float64) - clean).reshape(len(clean), -1)
    match norm:
        case "linf":
            means = delta.max(1)
        case "l2":
            means = np.sqrt((delta**2).mean(1))
        case "l1":
            means = delta.mean(1)
        case _:
            means = (delta > 0).mean(1)
    rounded: Floats = means.astype(np.float32)
    return rounded


def decibels(ratios: Any) -> Any:
    """Tell ratios of amplitudes, larger than 0, as signal-to-noise ratios, in dB."""
    return -20 * np.log10(ratios)


def ratio(decibels: float) -> float:
    """Find the ratio of amplitudes that is so many dB below the clip.

    Example:
        >>> ratio(20.0)
        0.1
    """
    return float(10 ** (-decibels / 20))
