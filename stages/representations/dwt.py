"""Discrete wavelet transform: the energies of wavelet packets in the order of their frequencies, as an image."""

from typing import Annotated

import numpy as np
import pywt
from librosa import db_to_amplitude
from pydantic import Field, field_validator

from stages.audio.decoding import Waveform
from stages.core.params import Count
from stages.representations.base import Change, Image, Representation, decibels, interpolate_blocks, pool


class DWT(Representation):
    """Squared wavelet packet coefficients, averaged over equal bands and frames, in decibels below their maximum.

    The packets of one level split 0 to sample_rate / 2 into 2 ** level equal bands; going through them in frequency
    order means undoing the mirroring that each high-pass branch brings (Gray code, Wickerhauser 1994).
    """

    wavelet: str
    level: Annotated[Count, Field(ge=4, le=10)]
    rows: Annotated[Count, Field(ge=16, le=512)]
    frames: Annotated[Count, Field(ge=16, le=512)]

    @field_validator("wavelet")
    @classmethod
    def _known(cls, wavelet: str) -> str:
        if wavelet not in (known := pywt.wavelist(kind="discrete")):
            raise ValueError(f"must be a discrete wavelet of PyWavelets: {', '.join(known)}")
        return wavelet

    def image(self, waveform: Waveform, sample_rate: int) -> Image:
        """Make the image of wavelet packets, shape (rows, frames), float32 in [0, 1]."""
        coefficients = packets(waveform, self.wavelet, self.level)
        return decibels(pool(pool(coefficients**2, self.rows, axis=0), self.frames, axis=1))

    def amplified(self, waveform: Waveform, sample_rate: int, change: Change) -> Waveform:
        """Apply the change as a gain on the clip's own wavelet packets."""
        coefficients = packets(waveform, self.wavelet, self.level)
        bands, places = coefficients.shape
        gain = db_to_amplitude(interpolate_blocks(interpolate_blocks(change, bands, axis=0), places, axis=1))
        return unpacked((coefficients * gain).astype(np.float32), self.wavelet)[: len(waveform)]


def packets(waveform: Waveform, wavelet: str, level: int) -> Image:
    """Compute wavelet packet coefficients in frequency order, shape (2 ** level, ceil(samples / 2 ** level)).

    The waveform is padded with zeros to a multiple of 2 ** level, so that the transform, taken as periodic, keeps its
    energy (for orthogonal wavelets).
    """
    coefficients = np.pad(waveform, (0, -len(waveform) % 2**level))[None]
    for _ in range(level):
        low, high = pywt.dwt(coefficients, wavelet, "periodization", axis=1)
        coefficients = np.stack([_mirrored(low, high), _mirrored(high, low)], axis=1).reshape(2 * len(low), -1)
    return coefficients


def unpacked(coefficients: Image, wavelet: str) -> Waveform:
    """Invert `packets`: compute the waveform from packets in frequency order, shape (2 ** level, places)."""
    while len(coefficients) > 1:
        lower, upper = coefficients[::2], coefficients[1::2]
        low, high = _mirrored(lower, upper), _mirrored(upper, lower)
        coefficients = pywt.idwt(low, high, wavelet, "periodization", axis=1)
    waveform: Waveform = coefficients[0]
    return waveform


def _mirrored(even: Image, odd: Image) -> Image:
    """Take rows of the one at even places, of the other at odd ones: every second band runs downwards in frequency."""
    rows = even.copy()
    rows[1::2] = odd[1::2]
    return rows
