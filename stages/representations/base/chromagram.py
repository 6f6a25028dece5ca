"""The appended chromagram: rows of pitch content under an image."""

from abc import ABC
from typing import Annotated

import librosa
import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.ndimage import gaussian_filter1d

from stages.audio.decoding import Waveform
from stages.core.params import Count, Parameters
from stages.representations.base import Change, Image, Representation, pool
from stages.representations.base.constantq import BINS_PER_OCTAVE, LOWEST, constant_q

TONNETZ_RADII = np.array([1.0, 1.0, 1.0, 1.0, 0.5, 0.5])
"""Largest absolute value of each tonnetz dimension: fifths, minor thirds, major thirds (Harte et al. 2006)."""

ROWS = 12 + 6 + 1
"""Number of rows of the chromagram: pitch classes, tonnetz, harmonic change."""

SILENT_DB = 60.0
"""Level below the clip's loudest frame, in dB, at which a frame has no pitch."""

SMOOTHING_FRAMES = 1.0
"""Standard deviation of the Gaussian that smooths the tonnetz before its changes are measured."""


class Chromagram(Parameters):
    """The chromagram: constant-Q chroma, tonal centroids and their rate of change, one row each."""

    hop_length: Annotated[Count, Field(ge=64, le=16_384, multiple_of=64)]
    octaves: Annotated[Count, Field(ge=1, le=7)]

    def rows(self, waveform: Waveform, sample_rate: int, frames: int) -> Image:
        """Compute the rows of one clip.

        Args:
            waveform: the clip's sound, shape (samples,).
            sample_rate: sample rate in Hz.
            frames: number of columns.

        Returns:
            the rows, shape (19, frames), float32 in [0, 1]: 12 pitch classes from C, each frame's maximum 1; the 6
            tonnetz dimensions, mapped from [-radius, radius]; the harmonic change detection function, the distance that
            the smoothed tonnetz moves between the frames before and after, mapped from [0, 2 sqrt(4.5)] (Harte, Sandler
            and Gasser 2006). Frames more than 60 dB below the loudest are silent: 0 in the chroma, 0.5 in the tonnetz.
        """
        chroma = self.chroma(waveform, sample_rate)
        tonnetz = librosa.feature.tonnetz(chroma=chroma, sr=sample_rate)
        scaled = 0.5 + tonnetz / (2 * TONNETZ_RADII[:, None])
        stacked = np.vstack([chroma, scaled, harmonic_change(tonnetz)[None]])
        return np.clip(pool(stacked, frames, axis=1), 0, 1).astype(np.float32)

    def chroma(self, waveform: Waveform, sample_rate: int) -> npt.NDArray[np.floating]:
        """Compute constant-Q chroma as librosa defines it, each frame's maximum 1, but 0 where the frame is silent.

        Returns:
            the chroma, shape (12, 1 + samples // hop_length).
        """
        magnitudes = np.abs(constant_q(waveform, sample_rate, self.hop_length, self.octaves))
        wrapped = (
            librosa.filters.cq_to_chroma(len(magnitudes), bins_per_octave=BINS_PER_OCTAVE, fmin=LOWEST) @ magnitudes
        )
        floor = max(wrapped.max() * 10 ** (-SILENT_DB / 20), np.finfo(np.float32).tiny)
        normalised: npt.NDArray[np.floating] = librosa.util.normalize(wrapped, threshold=floor, fill=False)
        return normalised


def harmonic_change(tonnetz: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Compute the harmonic change detection function, scaled by the largest distance possible.

    Args:
        tonnetz: tonal centroids, shape (6, frames).

    Returns:
        the function, shape (frames,), in [0, 1]; 0 at both ends, which have one neighbour only.
    """
    smooth = gaussian_filter1d(tonnetz, SMOOTHING_FRAMES, axis=1)
    change = np.zeros(tonnetz.shape[1])
    change[1:-1] = np.linalg.norm(smooth[:, 2:] - smooth[:, :-2], axis=0)
    largest = 2 * float(np.linalg.norm(TONNETZ_RADII))
    return change / largest


class WithChromagram(Representation, ABC):
    """An image with the rows of the chromagram appended under it."""

    base: Representation
    chromagram: Chromagram

    def image(self, waveform: Waveform, sample_rate: int) -> Image:
        """Append the chromagram to the base's image: shape (its height + 19, its width), float32 in [0, 1]."""
        image = self.base.image(waveform, sample_rate)
        return np.vstack([image, self.chromagram.rows(waveform, sample_rate, image.shape[1])])

    def amplified(self, waveform: Waveform, sample_rate: int, change: Change) -> Waveform:
        """Amplify as the base does; the rows of the chromagram then follow from the sound, whatever the image says."""
        return self.base.amplified(waveform, sample_rate, change[:-ROWS])

    def mismatch(self, waveform: Waveform, sample_rate: int, image: Image) -> float:
        """Measure the mismatch of the chromagrams alone.

        An image whose upper rows and chromagram are both changed at will asks for what no sound can be.
        """
        rows = self.chromagram.rows(waveform, sample_rate, image.shape[1])
        return float(np.abs(image[-ROWS:] - rows).mean())
