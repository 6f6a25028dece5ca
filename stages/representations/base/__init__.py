"""Waveform -> image: one file a representation, found by its name."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from stages.audio.decoding import Waveform
from stages.core import params, plugins
from stages.core.arrays import DYNAMIC_RANGE_DB

Image = npt.NDArray[np.float32]

Change = npt.NDArray[np.floating]
"""In dB."""


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

    def render(self, waveform: Waveform, sample_rate: int, image: Image) -> Waveform:
        """The clip's own sound, changed so that its image becomes another one.

        What the image changes, in decibels, is applied as a gain to the clip in time and frequency. Two things cannot
        be reached: a level below the image's floor is unknown, so that raising it raises what is there; and an image
        whose maximum is not 1 sounds like the one with all of it raised to 1, since an image is relative to its
        maximum.

        Args:
            waveform: shape (samples,), float32.
            sample_rate: in Hz.
            image: shape of `image`, in [0, 1].

        Returns:
            shape (samples,), float32; the waveform itself, to rounding, for its own image.
        """
        return self.amplified(waveform, sample_rate, DYNAMIC_RANGE_DB * (image - self.image(waveform, sample_rate)))

    def mismatch(self, waveform: Waveform, sample_rate: int, image: Image) -> float:
        """Mean distance, in [0, 1], of an image from that of a sound, such as what `render` made of it.

        Args:
            waveform: shape (samples,), float32.
            sample_rate: in Hz.
            image: shape of `image`, in [0, 1].
        """
        return float(np.abs(image - self.image(waveform, sample_rate)).mean())

    @abstractmethod
    def amplified(self, waveform: Waveform, sample_rate: int, change: Change) -> Waveform:
        """The clip with a gain that is interpolated between the centres of the image's blocks.

        Args:
            waveform: shape (samples,), float32.
            sample_rate: in Hz.
            change: shape of `image`, in dB.

        Returns:
            shape (samples,), float32.
        """


def load(name: str) -> Representation:
    """The representation `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.
    """
    kind = plugins.find("stages.representations", name, Representation)
    return params.read(f"representations.{name}", kind)


def pool(values: npt.NDArray[Any], size: int, axis: int) -> npt.NDArray[np.float64]:
    """Means over `size` nearly equal, at least one element long, blocks along an axis.

    Block i spans floor(i n / size) to ceil((i + 1) n / size) of the n elements, as in PyTorch's adaptive pooling, so
    a shorter axis is stretched.
    """
    starts, stops = _blocks(values.shape[axis], size)
    sums = np.insert(np.cumsum(values, axis=axis, dtype=np.float64), 0, 0.0, axis=axis)
    lengths = np.expand_dims(stops - starts, tuple(range(1, values.ndim - axis)))
    means: npt.NDArray[np.float64] = (np.take(sums, stops, axis) - np.take(sums, starts, axis)) / lengths
    return means


def _blocks(count: int, size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each of `size` blocks over `count` elements starts and stops."""
    edges = np.arange(size + 1) * count
    return edges[:-1] // size, -(-edges[1:] // size)


def interpolate_blocks(blocks: npt.NDArray[Any], count: int, axis: int) -> npt.NDArray[np.float64]:
    """Values at `count` elements from those of their blocks, as `pool` makes them, interpolated between the centres."""
    starts, stops = _blocks(count, blocks.shape[axis])
    return interpolate(blocks, (starts + stops - 1) / 2, np.arange(count), axis)


def interpolate(
    values: npt.NDArray[Any], known: npt.NDArray[Any], wanted: npt.NDArray[Any], axis: int
) -> npt.NDArray[np.float64]:
    """Linear interpolation along an axis, constant beyond the ends.

    Args:
        values: at the positions `known`.
        known: ascending.
        wanted: positions to interpolate at.
        axis: of the values.
    """
    return np.apply_along_axis(lambda line: np.interp(wanted, known, line), axis, values)


def decibels(power: npt.NDArray[Any]) -> Image:
    """Power on the scale of a feature: 1 + 10 log10(power / max) / DYNAMIC_RANGE_DB, clipped to [0, 1].

    Silence (no power anywhere) is 0 everywhere.
    """
    peak = power.max()
    if peak <= 0:
        return np.zeros(power.shape, np.float32)
    relative = np.maximum(power / peak, 10 ** (-DYNAMIC_RANGE_DB / 10))
    image: Image = np.clip(1 + 10 * np.log10(relative) / DYNAMIC_RANGE_DB, 0, 1).astype(np.float32)
    return image
