"""The appended chromagram: rows of pitch content under an image."""

from abc import ABC
from typing import Annotated, ClassVar

import librosa
import numpy as np
import torch
from pydantic import Field
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn
from torch.nn.functional import pad

from stages.core.params import Count, Parameters
from stages.representations.base import Representation
from stages.representations.base.bands import Bands
from stages.representations.base.constantq import BINS_PER_OCTAVE, LOWEST, ConstantQ
from stages.representations.base.pooling import constant, pooling

TONNETZ_RADII = np.array([1.0, 1.0, 1.0, 1.0, 0.5, 0.5])
"""Largest absolute value of each tonnetz dimension: fifths, minor thirds, major thirds (Harte et al. 2006)."""

ROWS = 12 + 6 + 1
"""Number of rows of the chromagram: pitch classes, tonnetz, harmonic change."""

SILENT_DB = 60.0
"""Level below the clip's loudest frame, in dB, at which a frame has no pitch."""

SMOOTHING_FRAMES = 1.0
"""Standard deviation of the Gaussian that smooths the tonnetz before its changes are measured."""

TINY = 1e-30
"""Least magnitude that counts as sound."""


class Chromagram(Parameters):
    """The chromagram: constant-Q chroma, tonal centroids and their rate of change, one row each."""

    hop_length: Annotated[Count, Field(ge=64, le=16_384, multiple_of=64)]
    octaves: Annotated[Count, Field(ge=1, le=7)]

    def module(self, samples: int, sample_rate: int, frames: int) -> "ChromagramRows":
        """Build the front end for clips of one length.

        Args:
            samples: number of samples of a clip.
            sample_rate: sample rate in Hz.
            frames: number of columns.
        """
        return ChromagramRows(Chroma(self, samples, sample_rate), frames)


class Chroma(nn.Module):
    """Constant-Q chroma as librosa defines it, each frame's maximum 1, but 0 where the frame is silent."""

    wrap: Tensor

    def __init__(self, chromagram: Chromagram, samples: int, sample_rate: int) -> None:
        """Compute the filters for clips of one length."""
        super().__init__()
        self.transform = ConstantQ(samples, sample_rate, chromagram.hop_length, chromagram.octaves)
        bins = chromagram.octaves * BINS_PER_OCTAVE
        wrap = librosa.filters.cq_to_chroma(bins, bins_per_octave=BINS_PER_OCTAVE, fmin=LOWEST)
        self.register_buffer("wrap", constant(wrap))

    def forward(self, waveforms: Tensor) -> Tensor:
        """Transform waveforms, shape (batch, samples), to shape (batch, 12, 1 + samples // hop_length)."""
        wrapped = torch.matmul(self.wrap, self.transform(waveforms).abs())
        loudest = wrapped.amax(1, keepdim=True)
        # Which frames are silent is taken as fixed: no gradient passes.
        floor = loudest.detach().amax(2, keepdim=True) * 10 ** (-SILENT_DB / 20)
        heard = loudest.detach() >= floor.clamp(min=TINY)
        return torch.where(heard, wrapped / torch.where(heard, loudest, 1.0), 0.0)


class ChromagramRows(nn.Module):
    """The rows of a chromagram, in [0, 1].

    12 pitch classes from C, each frame's maximum 1; the 6 tonnetz dimensions, mapped from [-radius, radius]; the
    harmonic change detection function, the distance that the smoothed tonnetz moves between the frames before and
    after, mapped from [0, 2 sqrt(4.5)] (Harte, Sandler and Gasser 2006). Frames more than 60 dB below the loudest are
    silent: 0 in the chroma, 0.5 in the tonnetz.
    """

    centroids: Tensor
    radii: Tensor
    frames: Tensor

    def __init__(self, chroma: Chroma, frames: int) -> None:
        """Take the chroma, and the number of columns that it is pooled to."""
        super().__init__()
        self.chroma = chroma
        self.harmonic_change = HarmonicChange(chroma.transform.frames)
        self.register_buffer("centroids", constant(librosa.feature.tonnetz(chroma=np.eye(12))))
        self.register_buffer("radii", constant(TONNETZ_RADII[:, None]))
        self.register_buffer("frames", constant(pooling(chroma.transform.frames, frames).T))

    def forward(self, waveforms: Tensor) -> Tensor:
        """Compute the rows of waveforms, shape (batch, samples): shape (batch, 19, frames)."""
        chroma = self.chroma(waveforms)
        # In L1 each frame sums to 1; a frame that is not silent has a maximum of 1.
        tonnetz = torch.matmul(self.centroids, chroma / chroma.sum(1, keepdim=True).clamp(min=1))
        scaled = 0.5 + tonnetz / (2 * self.radii)
        stacked = torch.cat([chroma, scaled, self.harmonic_change(tonnetz)], 1)
        return (stacked @ self.frames).clamp(0, 1)


class HarmonicChange(nn.Module):
    """The harmonic change detection function, scaled by the largest distance possible."""

    smoothing: Tensor

    def __init__(self, frames: int) -> None:
        """Prepare for tonnetz of so many frames."""
        super().__init__()
        self.register_buffer("smoothing", constant(gaussian_filter1d(np.eye(frames), SMOOTHING_FRAMES, axis=0).T))
        self.largest = 2 * float(np.linalg.norm(TONNETZ_RADII))

    def forward(self, tonnetz: Tensor) -> Tensor:
        """Measure the changes of tonal centroids, shape (batch, 6, frames).

        Returns:
            the function, shape (batch, 1, frames), in [0, 1]; 0 at both ends, which have one neighbour only.
        """
        smooth = tonnetz @ self.smoothing
        # PyTorch's norm has the gradient 0 at 0.
        change = torch.linalg.vector_norm(smooth[..., 2:] - smooth[..., :-2], dim=1, keepdim=True)
        return pad(change / self.largest, (1, 1))[..., : tonnetz.shape[2]]


class WithChromagram(Representation, ABC):
    """An image with the rows of the chromagram appended under it."""

    chromagram_rows: ClassVar[int] = ROWS

    base: Bands
    chromagram: Chromagram

    def module(self, samples: int, sample_rate: int) -> nn.Module:
        """Append the chromagram to the base's image: images of shape (batch, 1, its height + 19, its width)."""
        rows = self.chromagram.module(samples, sample_rate, self.base.frames)
        return Stacked(self.base.module(samples, sample_rate), rows)

    def render(self, waveforms: Tensor, sample_rate: int, images: Tensor) -> Tensor:
        """Render as the base does; the rows of the chromagram then follow from the sound, whatever the image says."""
        return self.base.render(waveforms, sample_rate, images[:, :, :-ROWS])


class Stacked(nn.Module):
    """Images with rows under them."""

    def __init__(self, image: nn.Module, rows: nn.Module) -> None:
        """Take the front ends of both."""
        super().__init__()
        self.image, self.rows = image, rows

    def forward(self, waveforms: Tensor) -> Tensor:
        """Compute both of waveforms, shape (batch, samples): shape (batch, 1, height, width)."""
        return torch.cat([self.image(waveforms), self.rows(waveforms)[:, None]], 2)
