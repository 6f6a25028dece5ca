"""Waveform -> image: one file a representation, found by its name."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from stages import params, plugins
from stages.audio import Waveform

FLOOR_DB = 80.0
"""Dynamic range of a feature: 0 is this far below the clip's maximum, 1 is the maximum."""

Image = npt.NDArray[np.float32]


class Representation(params.Parameters, ABC):
    """A transform with its parameters."""

    short: ClassVar[str]
    """What it is, in a word or two, for titles."""

    @abstractmethod
    def image(self, waveform: Waveform, sample_rate: int) -> Image:
        """The image of one clip.

        Args:
            waveform: shape (samples,), float32.
            sample_rate: in Hz.

        Returns:
            shape (height, width), float32 in [0, 1], low frequencies in the first rows.
        """


def load(name: str) -> Representation:
    """The representation `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.
    """
    kind = plugins.find(__name__, name, Representation)
    return params.read(f"representations.{name}", kind)


def pool(values: npt.NDArray[Any], size: int, axis: int) -> npt.NDArray[np.float64]:
    """Means over `size` nearly equal, at least one element long, blocks along an axis.

    Block i spans floor(i n / size) to ceil((i + 1) n / size) of the n elements, as in PyTorch's adaptive pooling, so
    a shorter axis is stretched.
    """
    count = values.shape[axis]
    edges = np.arange(size + 1) * count
    starts, stops = edges[:-1] // size, -(-edges[1:] // size)
    sums = np.insert(np.cumsum(values, axis=axis, dtype=np.float64), 0, 0.0, axis=axis)
    lengths = np.expand_dims(stops - starts, tuple(range(1, values.ndim - axis)))
    means: npt.NDArray[np.float64] = (np.take(sums, stops, axis) - np.take(sums, starts, axis)) / lengths
    return means


def decibels(power: npt.NDArray[Any]) -> Image:
    """Power on the scale of a feature: 1 + 10 log10(power / max) / FLOOR_DB, clipped to [0, 1].

    Silence (no power anywhere) is 0 everywhere.
    """
    peak = power.max()
    if peak <= 0:
        return np.zeros(power.shape, np.float32)
    relative = np.maximum(power / peak, 10 ** (-FLOOR_DB / 10))
    image: Image = np.clip(1 + 10 * np.log10(relative) / FLOOR_DB, 0, 1).astype(np.float32)
    return image
