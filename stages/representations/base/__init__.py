"""What every representation is: a transform of waveforms into images, and back; what several of them share."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.audio.decoding import Waveform
from stages.core import params, plugins
from stages.core.arrays import DYNAMIC_RANGE_DB

Image = npt.NDArray[np.float32]

Change = npt.NDArray[np.floating]
"""Change of the levels of an image, in dB."""


class Representation(params.Parameters, ABC):
    """A transform with its parameters."""

    @abstractmethod
    def image(self, waveform: Waveform, sample_rate: int) -> Image:
        """Make the image of one clip.

        Args:
            waveform: the clip's sound, shape (samples,), float32.
            sample_rate: sample rate in Hz.

        Returns:
            the image, shape (height, width), float32 in [0, 1], low frequencies in the first rows.
        """

    def render(self, waveform: Waveform, sample_rate: int, image: Image) -> Waveform:
        """Change the clip's own sound so that its image becomes another one.

        The change of the image, in decibels, is applied as a gain to the clip in time and frequency. Two things cannot
        be reached. A level below the image's floor is unknown, so that raising it raises what is there. An image whose
        maximum is not 1 sounds like the one with all of it raised to 1, since an image is relative to its maximum.

        Args:
            waveform: the clip's sound, shape (samples,), float32.
            sample_rate: sample rate in Hz.
            image: an image in the shape that `image` gives, in [0, 1].

        Returns:
            the sound, shape (samples,), float32; the waveform itself, to rounding, for its own image.
        """
        return self.amplified(waveform, sample_rate, DYNAMIC_RANGE_DB * (image - self.image(waveform, sample_rate)))

    def mismatch(self, waveform: Waveform, sample_rate: int, image: Image) -> float:
        """Measure the mean distance, in [0, 1], of an image from the image of a sound, such as `render` made of it.

        Args:
            waveform: the clip's sound, shape (samples,), float32.
            sample_rate: sample rate in Hz.
            image: an image in the shape that `image` gives, in [0, 1].
        """
        return float(np.abs(image - self.image(waveform, sample_rate)).mean())

    @abstractmethod
    def amplified(self, waveform: Waveform, sample_rate: int, change: Change) -> Waveform:
        """Apply to the clip a gain that is interpolated between the centres of the image's blocks.

        Args:
            waveform: the clip's sound, shape (samples,), float32.
            sample_rate: sample rate in Hz.
            change: gain in dB, in the shape of `image`.

        Returns:
            the sound, shape (samples,), float32.
        """


def load(name: str) -> Representation:
    """Read the representation `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.
    """
    kind = plugins.find("stages.representations", name, Representation)
    return params.read(f"representations.{name}", kind)


def pool(values: npt.NDArray[Any], size: int, axis: int) -> npt.NDArray[np.float64]:
    """Average over `size` nearly equal blocks along an axis, each of at least one element.

    Block i spans floor(i n / size) to ceil((i + 1) n / size) of the n elements, as in PyTorch's adaptive pooling, so
    a shorter axis is stretched.

    Example:
        >>> pool(np.arange(6), 3, axis=0)
        array([0.5, 2.5, 4.5])
    """
    starts, stops = _blocks(values.shape[axis], size)
    sums = np.insert(np.cumsum(values, axis=axis, dtype=np.float64), 0, 0.0, axis=axis)
    lengths = np.expand_dims(stops - starts, tuple(range(1, values.ndim - axis)))
    means: npt.NDArray[np.float64] = (np.take(sums, stops, axis) - np.take(sums, starts, axis)) / lengths
    return means


def _blocks(count: int, size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Compute where each of `size` blocks over `count` elements starts and stops."""
    edges = np.arange(size + 1) * count
    return edges[:-1] // size, -(-edges[1:] // size)


def interpolate_blocks(blocks: npt.NDArray[Any], count: int, axis: int) -> npt.NDArray[np.float64]:
    """Spread block values, as `pool` makes them, over `count` elements by interpolation between the blocks' centres."""
    starts, stops = _blocks(count, blocks.shape[axis])
    return interpolate(blocks, (starts + stops - 1) / 2, np.arange(count), axis)


def interpolate(
    values: npt.NDArray[Any], known: npt.NDArray[Any], wanted: npt.NDArray[Any], axis: int
) -> npt.NDArray[np.float64]:
    """Interpolate linearly along an axis, constant beyond the ends.

    Args:
        values: values at the positions `known`.
        known: positions of the values, ascending.
        wanted: positions to interpolate at.
        axis: axis of the values to interpolate along.
    """
    return np.apply_along_axis(lambda line: np.interp(wanted, known, line), axis, values)


def decibels(power: npt.NDArray[Any]) -> Image:
    """Put power on the scale of a feature: 1 + 10 log10(power / max) / DYNAMIC_RANGE_DB, clipped to [0, 1].

    Silence (no power anywhere) is 0 everywhere.

    Example:
        >>> decibels(np.array([1.0, 0.1, 0.0]))
        array([1.   , 0.875, 0.   ], dtype=float32)
    """
    peak = power.max()
    if peak <= 0:
        return np.zeros(power.shape, np.float32)
    relative = np.maximum(power / peak, 10 ** (-DYNAMIC_RANGE_DB / 10))
    image: Image = np.clip(1 + 10 * np.log10(relative) / DYNAMIC_RANGE_DB, 0, 1).astype(np.float32)
    return image
