"""What every representation is: a differentiable front end from waveforms to images, and a way back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stages.audio.decoding import Waveform
from stages.core import params, plugins

Image = npt.NDArray[np.float32]

PACKAGE = "stages.representations"


class Representation(params.Parameters, ABC):
    """A front end with its parameters; hashable, equal where its parameters are."""

    chromagram_rows: ClassVar[int] = 0
    """Number of the last rows that hold a chromagram, which follow from the sound that the others are of."""

    @abstractmethod
    def module(self, samples: int, sample_rate: int) -> nn.Module:
        """Build the front end for clips of one length.

        It is differentiable and has no weights; its filters are buffers, so that it moves to any device and to float64.

        Args:
            samples: number of samples of a clip, >= 1.
            sample_rate: sample rate in Hz.

        Returns:
            a module from waveforms, shape (batch, samples), float32 in [-1, 1], to images, shape (batch, 1, height,
            width), in [0, 1], low frequencies in the first rows.

        Raises:
            InputError: the parameters do not go with the sample rate.
        """

    def image(self, waveform: Waveform, sample_rate: int) -> Image:
        """Make the image of one clip, on the CPU.

        Args:
            waveform: the clip's sound, shape (samples,), float32.
            sample_rate: sample rate in Hz.

        Returns:
            the image, shape (height, width), float32 in [0, 1].
        """
        with torch.no_grad():
            images: Tensor = front_end(self, len(waveform), sample_rate)(torch.from_numpy(waveform)[None])
        image: Image = images[0, 0].numpy()
        return image

    @abstractmethod
    def render(self, waveforms: Tensor, sample_rate: int, images: Tensor) -> Tensor:
        """Change the clips' own sounds so that their images become others, as nearly as a sound can; on the CPU.

        Args:
            waveforms: the clips' sounds, shape (batch, samples), float32.
            sample_rate: sample rate in Hz.
            images: images in the shape that `module` gives, in [0, 1].

        Returns:
            the sounds, shape (batch, samples), float32.
        """


@lru_cache(maxsize=8)
def front_end(transform: Representation, samples: int, sample_rate: int) -> nn.Module:
    """Build the front end of a representation on the CPU, as `Representation.module` does, or find it built."""
    return transform.module(samples, sample_rate)


def load(name: str) -> Representation:
    """Read the representation `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.

    Example:
        >>> front_end = load("dwt_tonnetz").module(samples=110_250, sample_rate=22_050)
        >>> front_end(torch.zeros(8, 110_250)).shape
        torch.Size([8, 1, 64, 32])
    """
    return params.read(f"representations.{name}", plugins.find(PACKAGE, name, Representation))


def restore(name: str, parameters: Mapping[str, Any]) -> Representation:
    """Make the representation `name` with given parameters, such as a model's file holds.

    Raises:
        InputError: unknown name or wrong parameters.
    """
    kind = plugins.find(PACKAGE, name, Representation)
    found: Representation = params.check(dict(parameters), kind, f"parameters of {name}")
    return found
